"""Hard models on a real llama.cpp: one that aborts, one without an end, a large one, an aLoRA; and Ctrl-C."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from asking import LIBRARIES, find_llama
from builds import VERSIONS
from interrupting import COMMAND, press_ctrl_c
from recipes import write_model

from ollama_pack.engine.answers import Weights
from ollama_pack.engine.llama import running_llama

ROOT = Path(__file__).parents[2]
ADA = ROOT / "examples" / "ada-lovelace-lora"
BASE = os.environ.get("OLLAMA_PACK_TEST_BASE", "")
COMPILED, SECONDS = "compiled", 200
INVOCATION = "<|im_start|>assistant\n"
INVOCATION_TOKENS = [1, 520, 9531, 198]
"""The same in SmolLM2's tokens."""

ABORTS = [("llama.expert_count", 2), ("llama.expert_used_count", 5)]
"""More experts are used than there are, which llama.cpp asserts and does not tell as an error."""


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(name, marks=pytest.mark.llama) for name in VERSIONS),
        pytest.param(COMPILED, marks=pytest.mark.logits),
    ],
)
def library(request):
    """Return the path of Python in which a llama.cpp is found."""
    if request.param == COMPILED:
        if importlib.util.find_spec("llama_cpp") is None:
            pytest.skip("NOT TESTED with llama-cpp-python: it is not installed (make logits)")
        return str(ROOT)
    find_llama(request.param)
    return os.pathsep.join((str(LIBRARIES / request.param), str(ROOT)))


def start(library, *words, **more):
    """Start ``try`` with a llama.cpp."""
    environment = os.environ | {"PYTHONPATH": library, "OMP_WAIT_POLICY": "passive"} | more
    command = [sys.executable, "-c", COMMAND, "try", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def tried(library, *words, **more):
    """Run ``try`` with a llama.cpp, and return its exit code, its results and what else it says."""
    process = start(library, *words, **more)
    out, told = process.communicate(timeout=SECONDS)
    return process.returncode, out, told


def test_an_abort_of_llama(library, tmp_path):
    """The assertion that failed is told with the file, and the command ends as for a daemon that died."""
    model = write_model(tmp_path / "aborts.gguf", keys=ABORTS)
    code, out, told = tried(library, model, "a b c")
    assert (code, out) == (6, "")
    assert "llama.cpp ended by itself (SIGABRT)." in told
    assert "GGML_ASSERT(" in told
    assert f"in:  {model}" in told


@pytest.mark.parametrize("limit", [("--max-tokens", "30"), ("--parameter", "num_ctx=64")], ids=" ".join)
def test_a_model_that_never_stops(library, tmp_path, limit):
    """Random weights never end an answer: it is cut off by the limit, or where the context is full."""
    model = write_model(tmp_path / "endless.gguf")
    code, out, told = tried(library, model, "a b c", *limit, "--json")
    assert code == 0, told
    (said,) = json.loads(out)["conversations"][0]["answers"]
    assert (said["ended"], 0 < said["tokens"] <= 256) == (False, True)


def test_a_model_larger_than_memory(library, tmp_path):
    """It is told before llama.cpp sees the file: a hole of a file is as large as it says."""
    model = write_model(tmp_path / "large.gguf")
    os.truncate(model, 1 << 43)
    code, _, told = tried(library, model, "a b c")
    assert code == 4, told
    assert "this machine has" in told
    assert "llama     " not in told


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process")
def test_an_answer_is_interrupted(library, tmp_path):
    """Ctrl-C in the middle of an answer: 130, and neither a process nor a folder is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if not BASE:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    process = start(library, Path(BASE).resolve(), "Tell me a very long story.", TMPDIR=str(scratch))
    begun = partial(time.sleep, 0.3)
    code, _, told = press_ctrl_c(process, lambda line: line.startswith("llama "), begun)
    assert (code, "Interrupted." in told) == (130, True)
    assert list(scratch.iterdir()) == []


@pytest.fixture
def alora(tmp_path):
    """Return the example as an aLoRA that the begin of an answer invokes, and the same without that."""
    if not BASE:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)")
    made = []
    for name, tokens in (("alora", INVOCATION_TOKENS), ("lora", None)):
        home = tmp_path / f"{name}-lora"
        shutil.copytree(ADA, home, ignore=shutil.ignore_patterns("checkpoint-*", "ollama"))
        config = json.loads((home / "adapter_config.json").read_text())
        (home / "adapter_config.json").write_text(json.dumps(config | {"alora_invocation_tokens": tokens}))
        command = [sys.executable, "-m", "ollama_pack", "convert", home, "--base", Path(BASE).resolve()]
        subprocess.run(
            [*map(str, command), "--out", str(tmp_path / f"{name}.gguf")],
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        made.append(tmp_path / f"{name}.gguf")
    return tuple(made)


def test_an_activated_lora(library, alora, monkeypatch):
    """llama-server applies it from the tokens that invoke it on; llama-cpp-python, as `try` says, to all."""
    monkeypatch.setenv("PYTHONPATH", library)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    question = "<|im_start|>user\nWho are you?<|im_end|>\n"
    with running_llama(Weights(Path(BASE).resolve(), alora)) as llama:
        knows = "xllamacpp" in llama.name
        found = {
            (invoked, which): llama.likelihoods(prompt, "I am Ada", adapter)
            for invoked, prompt in ((True, question + INVOCATION), (False, f"{question}<|im_start|>sage\n"))
            for which, adapter in (("base", None), ("alora", 0), ("lora", 1))
        }
    assert found[False, "base"] != found[False, "lora"]
    assert found[False, "alora"] == found[False, "base" if knows else "lora"]
    assert found[True, "alora"] != found[True, "base"]
    assert (found[True, "alora"] == found[True, "lora"]) is not knows
