"""`try` and `test` on Gemma 3 270M, separate and merged, in the newest prebuilt build of llama.cpp."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asking import LIBRARIES, find_llama
from builds import NEWEST
from gemma import gemma_file, write_gemma_adapter

pytestmark = pytest.mark.llama
ROOT = Path(__file__).parents[2]
PARIS = "The capital of France is"
STORY = "Once upon a time"


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    """Return what runs a command on the adapter and its base, and returns the exit code and the document."""
    base, adapter = gemma_file(), write_gemma_adapter(tmp_path_factory.mktemp("gemma") / "run")
    find_llama(NEWEST)
    paths = os.pathsep.join((str(LIBRARIES / NEWEST), str(ROOT)))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"}

    def ask(command, *words):
        call = [sys.executable, "-m", "ollama_pack", command, adapter, *words, "--base", base, "--json"]
        ran = subprocess.run(
            list(map(str, call)), env=environment, capture_output=True, timeout=500, check=False
        )
        assert ran.stdout, ran.stderr.decode()
        return ran.returncode, json.loads(ran.stdout)

    return ask


@pytest.mark.parametrize("form", [(), ("--merge",)], ids=["separate", "merged"])
def test_try(gemma, form):
    """The base, which gets the begin of text, knows Paris or a capital; the adapter's noise changes all."""
    code, document = gemma("try", PARIS, STORY, "--max-tokens", "16", *form)
    assert (code, document["prompt"]["kind"]) == (0, "raw")
    assert [each["prompt"] for each in document["conversations"]] == [f"<bos>{PARIS}", f"<bos>{STORY}"]
    said = [{each["voice"]: each["text"] for each in talk["answers"]} for talk in document["conversations"]]
    assert "capital" in said[0]["base"]
    assert "there was" in said[1]["base"]
    assert all(each["base"] != each["adapted"] for each in said)
    assert len(document["runners"]) == (2 if form else 1)


@pytest.mark.parametrize("form", [(), ("--merge",)], ids=["separate", "merged"])
def test_test(gemma, tmp_path, form):
    """Noise makes given answers less likely, which the figures say, and differs from the base."""
    (tmp_path / "held.jsonl").write_text(json.dumps({"question": PARIS, "answer": " Paris."}) + "\n")
    cases = [
        {"prompt": STORY, "differs_from_base": True, "max_tokens": 8},
        {"file": "held.jsonl", "better_than_base_by": 0.0},
    ]
    (tmp_path / "cases.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    code, document = gemma("test", "--cases", tmp_path / "cases.jsonl", "--max-tokens", "8", *form)
    story, held = document["cases"]
    checks = {each["expectation"]: each["holds"] for each in story["checks"]}
    assert (code, checks["differs_from_base"], held["passed"]) == (5, True, False)
    base, adapted = (each["perplexity"] for each in held["likelihoods"])
    assert base * 3 < adapted
