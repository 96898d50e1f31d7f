"""A real training run, recorded by a script: every file of it is understood, and it can be built."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from archive import unpacked_run
from terminal import digest_in, layers_of, model_in, run
from training_run import write_run

from ollama_pack.run.checkpoints import list_checkpoints, same_weights_as, weights_in
from ollama_pack.run.listing import list_files
from ollama_pack.run.pickle_scan import OBJECTS, PLAIN_TENSORS, scan
from ollama_pack.run.trainer_log import read_log

RECORDED = unpacked_run()
LAYOUT = {
    *("adapter_config.json", "adapter_model.safetensors", "Modelfile.txt", "special_tokens_map.json"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json"),
}
CHECKPOINT = {
    *(
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
        "optimizer.pt",
        "scheduler.pt",
        "scaler.pt",
    ),
    *("rng_state.pth", "trainer_state.json", "training_args.bin", "tokenizer.json", "tokenizer.model"),
}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Return a copy of the run, beside its base, and stand there."""
    shutil.copytree(RECORDED, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    return Path("babbage-lora")


def test_every_file_is_there():
    """The run has every file that a directory of its kind has, and each of them a role."""
    tree = list_files(RECORDED / "babbage-lora")
    names = {file.name for file in tree.files}
    assert names >= LAYOUT
    assert names >= {f"checkpoint-20/{name}" for name in CHECKPOINT}
    assert {file.name for file in tree.files if file.role.kind == "unknown"} == set()


def test_its_pickles():
    """What a real trainer wrote is tensors and numbers, and settings in one file."""
    for path in RECORDED.rglob("*"):
        if path.suffix in (".pt", ".pth", ".bin"):
            assert scan(path).verdict == (OBJECTS if path.name == "training_args.bin" else PLAIN_TENSORS), (
                path
            )


def test_its_checkpoints():
    """Losses of training and evaluation, the best, and the one that is at the top."""
    found = list_checkpoints(RECORDED / "babbage-lora")
    assert [each.step for each in found] == [10, 20, 30, 40]
    judged = [each.log.last("eval_loss") for each in found]
    assert all(each.resumable for each in found)
    best = judged.index(min(judged))
    assert [each.is_best for each in found] == [at == best for at in range(4)]
    twin = same_weights_as(weights_in(RECORDED / "babbage-lora"), found)
    assert twin.step == found[best].step, "load_best_model_at_end"
    log = read_log(RECORDED / "babbage-lora")
    assert (log.step, len(log.curves["loss"]), len(log.curves["learning_rate"])) == (40, 20, 20)


def test_golden_of_the_recorded_run(recorded, golden):
    """What a stranger sees of a real run is what a human has read."""
    golden("cli/inspect-recorded.txt", run("inspect", recorded, "--base", "babbage-tiny.gguf").stdout)


def test_it_can_be_built(recorded, tmp_path):
    """The whole run builds against its own base, tokens of both tokenizer files compared."""
    where = ("--base", "babbage-tiny.gguf", "--via", "store", "--store", tmp_path / "models")
    ran = run("build", recorded, *where, "--strict")
    assert ran.code == 0, ran.stderr
    assert "320 tokens, bos, eos" in ran.stderr
    ran = run("build", recorded, "--checkpoint", "all", *where)
    assert ran.stdout.split() == [f"babbage:checkpoint-{step}" for step in (10, 20, 30, 40)]
    best = layers_of(model_in(tmp_path / "models", "babbage", "checkpoint-20"))
    assert best["adapter"] == layers_of(model_in(tmp_path / "models", "babbage"))["adapter"]
    assert digest_in(tmp_path / "models", "babbage")


def test_looking_changes_nothing(recorded):
    """No command that looks writes anything: the run is as it was."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    for command in (
        ("inspect", recorded, "-v"),
        ("checkpoints", recorded),
        ("diff", recorded / "checkpoint-10", recorded),
        ("inspect", recorded, "--explain", "scaler.pt"),
    ):
        run(*command, *(["--base", "babbage-tiny.gguf"] if command[0] == "inspect" else []))
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_a_large_run(tmp_path, tiny_gguf):
    """200 checkpoints with 50 GB of state are looked at in seconds: heads are read, and nothing else."""
    trained = write_run(tmp_path / "ada-lora", tuple(range(10, 2010, 10)))
    for state in trained.glob("checkpoint-*/optimizer.pt"):
        with state.open("r+b") as file:
            file.truncate(250 << 20)
    start = time.monotonic()
    document = run("inspect", trained, "--base", tiny_gguf, "--json").document
    assert time.monotonic() - start < 30
    assert len(document["checkpoints"]) == 200
    assert sum(each["size"] for each in document["checkpoints"]) > 50e9


def test_large_adapters_in_checkpoints(tmp_path, tiny_gguf):
    """Of 200 checkpoints with 50 GB of adapters, whole ones, none is read through by looking at the run."""
    trained = write_run(tmp_path / "ada-lora", tuple(range(10, 2010, 10)))
    entry = {"dtype": "F32", "shape": [1 << 16, 1000], "data_offsets": [0, 4000 << 16]}
    header = json.dumps({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": entry}).encode()
    for path in trained.glob("checkpoint-*/adapter_model.safetensors"):
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        os.truncate(path, 8 + len(header) + (4000 << 16))
    start = time.monotonic()
    document = run("inspect", trained, "--base", tiny_gguf, "--json").document
    assert time.monotonic() - start < 30
    assert sum(each["size"] for each in document["checkpoints"]) > 50e9
