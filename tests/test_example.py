"""The example directory: a real run's leavings, as PEFT and the Trainer write them, and nothing private."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.modelfile.file import read_modelfile

EXAMPLES = Path(__file__).parent.parent / "examples"
ADA = EXAMPLES / "ada-lovelace-lora"
CHECKPOINT = next(ADA.glob("checkpoint-*"))
STATE = json.loads((CHECKPOINT / "trainer_state.json").read_text("utf-8"))
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file() and "cache" not in str(path))


def test_the_adapter_is_what_it_says():
    """Rank 8 on q_proj and v_proj of all 30 blocks of SmolLM2-135M-Instruct."""
    adapter = read_adapter(ADA)
    assert (adapter.rank, adapter.base_id) == (8, "HuggingFaceTB/SmolLM2-135M-Instruct")
    wanted = {f"model.layers.{i}.self_attn.{side}_proj" for i in range(30) for side in "qv"}
    assert {pair.module for pair in adapter.pairs} == wanted


def test_the_author_left_the_adapter_line_to_us():
    """Modelfile.txt names the base, and has no ADAPTER yet."""
    author = read_modelfile(ADA)
    assert author is not None
    assert (author.value("FROM"), author.values("ADAPTER")) == ("smollm2:135m", ())


@pytest.mark.parametrize(
    "name",
    ["optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "training_args.bin", "README.md"],
)
def test_the_checkpoint_is_whole(name):
    """Everything the Trainer leaves to resume from is there."""
    assert (CHECKPOINT / name).stat().st_size > 0


def test_the_loss_falls():
    """The mean loss of the last five logs is below half of the first one's."""
    losses = [entry["loss"] for entry in STATE["log_history"] if "loss" in entry]
    assert len(losses) >= 10
    assert sum(losses[-5:]) / 5 < losses[0] / 2


def test_there_is_enough_data():
    """At least 150 different questions, each with an answer."""
    lines = (EXAMPLES / "ada_lovelace.jsonl").read_text("utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    assert len({pair["question"] for pair in pairs}) == len(pairs) >= 150
    assert all(pair["answer"].strip() for pair in pairs)


def test_it_is_small():
    """All of it fits into 16 MB."""
    assert sum(path.stat().st_size for path in FILES) < 16e6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_nothing_private_is_in_it(path):
    """No file has an absolute path of a home, a temporary or a working directory."""
    found = re.findall(rb"/(?:home|root|tmp|work|Users|mnt)/[\w.-]+", path.read_bytes())
    assert not found


def test_the_card_tells_base_data_and_licences():
    """Front matter and text say what it was made of, and what one may do with it."""
    card = (ADA / "README.md").read_text("utf-8")
    for word in (
        "base_model: HuggingFaceTB/SmolLM2-135M-Instruct",
        "library_name: peft",
        "Apache-2.0",
        "CC0",
    ):
        assert word.lower() in card.lower()


def keep(folder: Path, *members: str) -> "subprocess.CompletedProcess[str]":
    """Let fetch_openmp.py keep the runtime of a wheel that has these files."""
    with zipfile.ZipFile(folder / "some.whl", "w") as wheel:
        for name in members:
            wheel.writestr(name, "the runtime")
    code = "from fetch_openmp import *; keep_runtime(Path(sys.argv[1]), Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, folder / "some.whl", folder]
    where = os.environ | {"PYTHONPATH": str(EXAMPLES)}
    return subprocess.run(command, env=where, capture_output=True, text=True, check=False)


def test_the_runtime_of_a_wheel_is_kept(tmp_path):
    """Under the name that llama.cpp asks for, and nothing else of the wheel."""
    ran = keep(tmp_path, "some/code.py", "some.libs/libgomp-e985bcbb.so.1.0.0")
    assert (ran.returncode, (tmp_path / "libgomp.so.1").read_text("utf-8")) == (0, "the runtime")
    assert not (tmp_path / "some").exists()


def test_a_wheel_without_a_runtime_is_told(tmp_path):
    """The message says what to install instead."""
    ran = keep(tmp_path, "some/code.py")
    assert ran.returncode == 1
    assert "apt install libgomp1" in ran.stderr
