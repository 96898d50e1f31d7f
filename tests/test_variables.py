"""Variables that name tools for tests: a misspelled one ends the run, and skips nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tool_variables import TOOLS

HERE = Path(__file__).parent


def test_all_of_them_are_known():
    """What a test or the Makefile reads is in the list, and the list has nothing else."""
    texts = [path.read_text("utf-8") for path in (HERE.parent / "Makefile", *HERE.rglob("*.py"))]
    read = {name for text in texts for name in re.findall(r"OLLAMA_PACK_TEST_([A-Z]+)\b", text)}
    assert read - {"BASSE"} == TOOLS


def test_a_misspelled_one_is_told():
    """It is named with the one that was meant, and nothing runs."""
    words = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", __file__)
    environment = {**os.environ, "OLLAMA_PACK_TEST_BASSE": "base.gguf"}
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 4
    assert "No test reads OLLAMA_PACK_TEST_BASSE. Did you mean OLLAMA_PACK_TEST_BASE?" in ran.stderr
