"""What PEFT itself merges, one weight at a time: what it is asked, what its answers become, and the proof.

`tests/peft_stand_in.py` gives the answers that PEFT gave when it was recorded. The last tests ask PEFT
itself, if OLLAMA_PACK_TEST_PEFT names a Python that has it.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from archive import unpacked
from kinds import KINDS
from recipes import read_numbers, safetensors
from terminal import run

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.gguf.split import read_parts
from ollama_pack.lora.beside import plan_beside
from ollama_pack.lora.mergeable import MERGED_BY_PEFT
from ollama_pack.lora.peft import merge_process
from ollama_pack.lora.peft.by_peft import PEFT_METHODS
from ollama_pack.lora.peft.directory import resolve_directory
from ollama_pack.lora.peft.load import load_adapter
from ollama_pack.lora.peft.merge_process import PeftLayer, PeftQuestion, PeftWeights
from ollama_pack.lora.planner import plan_lora
from ollama_pack.merge.by_peft import plan_by_peft
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.write import write_merged
from ollama_pack.verify.merged import prove_merged

pytestmark = pytest.mark.usefixtures("recorded_peft")

CASES = [kind for kind in KINDS if kind.by_peft]
by_case = pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.case)


def adapter_of(model: str, case: str):
    return load_adapter(resolve_directory(unpacked("kinds", model) / case, ""), merging=True, by_peft=True)


def base_of(model: str):
    return read_base_gguf(unpacked("kinds", model) / "base.gguf")


def written(adapter, base, path: Path) -> Path:
    """Write a merged file without its proof."""
    rows = (*plan_beside(adapter, base), *plan_by_peft(adapter, base))
    write_merged(plan_merge(read_parts(base.gguf), plan_lora(adapter, base), "auto", rows), path)
    return path


@by_case
def test_merged_and_proved(tmp_path, kind):
    """Each recorded adapter becomes a file that passes its proof; the stand-in checks every layout."""
    adapter, base = adapter_of(kind.model, kind.case), base_of(kind.model)
    assert adapter.by_peft
    report = prove_merged(adapter, base, written(adapter, base, tmp_path / "merged.gguf"))
    assert report.result.passed, report.result.summary
    assert abs(report.total.gain - 1) < 1e-5


def test_each_method_is_recorded():
    """No method is said to be merged by PEFT without an adapter of it that was."""
    kinds = [
        json.loads((unpacked("kinds", kind.model) / kind.case / "adapter_config.json").read_text())
        for kind in CASES
    ]
    assert {kind["peft_type"] for kind in kinds} == PEFT_METHODS.keys()


def test_the_proof_finds_another_weight(tmp_path):
    """A file with a weight of another adapter, or with the base's, fails."""
    base, adapter = base_of("llama"), adapter_of("llama", "oft")
    other = adapter_of("llama", "boft")
    assert not prove_merged(adapter, base, base.gguf).result.passed
    assert not prove_merged(adapter, base, written(other, base, tmp_path / "other.gguf")).result.passed


def test_without_the_extra(monkeypatch, tmp_path):
    """Where PEFT is not installed, the message says what installs it, and nothing is written."""
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("torch", "peft") else name)
    home, out = unpacked("kinds", "llama"), tmp_path / "merged.gguf"
    ran = run("merge", home / "oft", "--base", home / "base.gguf", "--out", out)
    assert ran.code == 4
    assert "a library is not installed: torch, peft." in ran.stderr
    assert "pip install 'ollama-pack[peft]'" in ran.stderr
    assert not out.exists()


@pytest.mark.parametrize("case", ["oft", "fourierft-full"])
def test_at_the_command_line(tmp_path, case):
    """`build` refuses and names --merge; with it the model is there, also if only the base told the size."""
    home, out = unpacked("kinds", "llama"), tmp_path / "out"
    words = ("build", home / case, "ada", "--base", home / "base.gguf", "--via", "folder", "--out", out)
    refused = run(*words)
    assert refused.code == 4
    assert "--merge  writes one model file" in refused.stderr
    told = run(*words, "--merge", "--dry-run")
    assert "on 6 weights, which PEFT merges, F32" in told.stderr
    ran = run(*words, "--merge", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.document["proofs"][0]["passed"]


def test_a_tower_is_refused_by_name(tmp_path):
    """What was trained of a vision tower has no place in a merged model, and is named."""
    home, ada = unpacked("kinds", "llama"), tmp_path / "ada"
    shutil.copytree(home / "oft", ada)
    numbers = read_numbers(ada / "adapter_model.safetensors")
    tower = "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.oft_R.weight"
    numbers[tower] = next(iter(numbers.values()))
    (ada / "adapter_model.safetensors").write_bytes(safetensors(numbers))
    ran = run("merge", ada, "--base", home / "base.gguf", "--out", tmp_path / "m.gguf")
    assert (ran.code, tower in ran.stderr.replace("\n", "")) == (4, True), ran.stderr


@pytest.mark.parametrize("words", [("--scale", "0.5"), ("--weight", "0.5")])
def test_no_scale(tmp_path, words):
    """PEFT has no scale for these methods, so there is none here."""
    home = unpacked("kinds", "llama")
    ran = run("merge", home / "oft", *words, "--base", home / "base.gguf", "--out", tmp_path / "m.gguf")
    assert (ran.code, "PEFT cannot scale an adapter of OFT" in ran.stderr) == (4, True), ran.stderr
    assert "leave out --scale and --weight" in ran.stderr
    assert run("merge", home / "oft", "--base", home / "base.gguf", "--out", tmp_path / "m.gguf").code == 0


def test_a_process_that_dies(monkeypatch, tmp_path):
    """A process that ends without an answer is told, with the adapter, and leaves no file."""
    monkeypatch.setattr(merge_process, "worker_command", lambda: [sys.executable, "-c", "pass"])
    home, out = unpacked("kinds", "llama"), tmp_path / "merged.gguf"
    ran = run("merge", home / "oft", "--base", home / "base.gguf", "--out", out)
    assert (ran.code, "its process ended" in ran.stderr, out.exists()) == (4, True, False), ran.stderr


def test_the_process_ends_with_what_asks():
    """Neither the process nor its files outlive the weights that were asked for."""
    adapter, kept = adapter_of("llama", "oft"), np.load(unpacked("kinds", "llama") / "merged" / "base.npz")
    name = "model.layers.0.self_attn.q_proj"
    layer = PeftLayer(name, "linear", kept[f"{name}.weight"].shape, bias=False)

    def fill(_layer, weight):
        weight[:] = kept[f"{name}.weight"]

    weights = PeftWeights(adapter, [layer], PeftQuestion.MERGE, fill)
    assert weights.made(layer).weight.shape == layer.shape
    process, room = weights._process, weights._room
    assert room.exists()
    del weights
    gc.collect()
    assert process.poll() is not None
    assert not room.exists()


def test_rules_and_methods_agree():
    """A rule that says PEFT merges it is one of those that are let through."""
    from ollama_pack.lora.hints import BY_PEFT as HINT
    from ollama_pack.lora.unsupported import RULES

    assert {code for code, rule in RULES.items() if HINT in rule.hint} == MERGED_BY_PEFT


@cache
def python_with_peft() -> str:
    """Return a Python that has PEFT and torch, or "" if there is none."""
    python = os.environ.get("OLLAMA_PACK_TEST_PEFT", sys.executable)
    found = subprocess.run([python, "-c", "import peft, torch"], capture_output=True, check=False)
    return python if found.returncode == 0 else ""


@by_case
def test_peft_itself(monkeypatch, tmp_path, kind):
    """PEFT, asked one weight at a time, makes what its merge_and_unload made of the whole model."""
    python = python_with_peft()
    if not python:
        pytest.skip("NOT TESTED with PEFT: OLLAMA_PACK_TEST_PEFT names no Python that has peft and torch")
    monkeypatch.setattr(merge_process, "worker_command", lambda: [python, str(merge_process.WORKER)])
    adapter, base = adapter_of(kind.model, kind.case), base_of(kind.model)
    room = unpacked("kinds", kind.model) / "merged"
    before, after = np.load(room / "base.npz"), np.load(room / f"{kind.case}.npz")
    for values in plan_by_peft(adapter, base):
        name = f"{values.source.name}.{'weight' if len(values.source.shape) > 1 else 'bias'}"
        conv1d = kind.model == "gpt2" and name.endswith("weight")
        truth = after[name] if name in after.files else before[name]
        made = np.asarray(values.source.compute())
        assert np.abs(made - (truth.T if conv1d else truth)).max() <= 1e-5 * np.abs(truth).max(), name
    report = prove_merged(adapter, base, written(adapter, base, tmp_path / "merged.gguf"))
    assert report.result.passed, report.result.summary
