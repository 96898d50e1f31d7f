"""Perplexities of `test`, against what transformers and PEFT computed of the same answers in float32."""

import json
import math
import os
import subprocess
import sys

import pytest
from asking import LIBRARIES, find_llama
from builds import VERSIONS
from test_try import ADA, ROOT, SECONDS

pytestmark = pytest.mark.llama

RECORDED = json.loads((ROOT / "tests" / "goldens" / "reference" / "perplexity.json").read_text("utf-8"))
CLOSE = 0.01
"""Share by which a perplexity may differ from that of transformers."""


@pytest.mark.parametrize("build", VERSIONS)
def test_perplexities_are_those_of_transformers(build, base_file, tmp_path):
    """The base is the very float32 model that transformers ran; the tokens are as many, and each counts."""
    find_llama(build)
    cases = tmp_path / "cases.jsonl"
    held_out = ROOT / "examples" / "ada_lovelace_held_out.jsonl"
    cases.write_text(json.dumps({"file": str(held_out), "better_than_base_by": 0.5}) + "\n")
    paths = os.pathsep.join((str(LIBRARIES / build), str(ROOT)))
    command = [sys.executable, "-m", "ollama_pack", "test", ADA, "--cases", cases, "--json", "--quiet"]
    ran = subprocess.run(
        list(map(str, [*command, "--base", base_file("smollm2")])),
        env=os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (case,) = json.loads(ran.stdout)["cases"]
    found = {each["voice"]: each for each in case["likelihoods"]}
    for voice, recorded in RECORDED.items():
        assert found[voice]["tokens"] == recorded["tokens"]
        assert found[voice]["perplexity"] == pytest.approx(math.exp(recorded["loss"]), rel=CLOSE)
