"""What PEFT recorded, and llama.cpp to ask about it."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

CHILD = Path(__file__).parent / "child.py"
SECONDS = 120

AskLlama = Callable[[Path, Sequence[int], Sequence[Path | None]], "list[np.ndarray | None]"]


@pytest.fixture(scope="session")
def ask_llama(tmp_path_factory) -> AskLlama:
    """Return base, tokens, adapters → logits an adapter, None for one that llama.cpp refuses."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.fail("llama_cpp is not installed: these tests run real llama.cpp (group `tests`, make test).")

    def ask(base: Path, tokens: Sequence[int], adapters: Sequence[Path | None]) -> list[np.ndarray | None]:
        folder = tmp_path_factory.mktemp("llama")
        job, answers = folder / "job.json", folder / "answers.npz"
        named = {"base": str(base), "answers": str(answers), "tokens": [int(token) for token in tokens]}
        paths = [None if path is None else str(path) for path in adapters]
        job.write_text(json.dumps({**named, "adapters": paths}), "utf-8")
        ran = subprocess.run(
            [sys.executable, CHILD, job], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if ran.returncode != 0:
            pytest.fail(f"llama.cpp ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
        with np.load(answers) as found:
            return [found.get(str(place)) for place in range(len(paths))]

    return ask
