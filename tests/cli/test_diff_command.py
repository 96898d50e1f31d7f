"""``ollama-pack diff``: what changed between two adapters."""

import json
from pathlib import Path

import pytest
from terminal import run
from training_run import write_run

from ollama_pack.lora.peft.safetensors_header import read_safetensors


@pytest.fixture
def trained(tmp_path):
    """Return a training run with three checkpoints."""
    return write_run(tmp_path / "ada-lora")


def change(directory: Path, file: str, **more: object) -> None:
    """Change keys of a JSON file; `...` removes one."""
    path = directory / file
    document = {**(json.loads(path.read_text()) if path.exists() else {}), **more}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))


def test_the_same(trained):
    """An adapter and the checkpoint it is a copy of do not differ."""
    ran = run("diff", trained, trained / "checkpoint-30")
    assert (ran.code, ran.stdout) == (0, "The two adapters are the same.\n")
    assert run("diff", trained, trained, "--json").document["same"] is True


def test_golden_of_checkpoints(trained, golden):
    """What a stranger sees of two checkpoints is what a human has read."""
    change(trained / "checkpoint-20", "adapter_config.json", lora_dropout=0.1)
    golden("cli/diff.txt", run("diff", trained / "checkpoint-10", trained / "checkpoint-20").stdout)


def test_one_weight(trained):
    """One weight that is scaled has its growth, and still its direction; all others are as they were."""
    path = trained / "checkpoint-30" / "adapter_model.safetensors"
    tensor = next(each for name, each in read_safetensors(path).items() if "q_proj.lora_B" in name)
    content = bytearray(path.read_bytes())
    import numpy as np

    numbers = np.frombuffer(content, "<f4", tensor.nbytes // 4, tensor.offset).copy()
    content[tensor.offset : tensor.offset + tensor.nbytes] = (numbers * 2).tobytes()
    path.write_bytes(content)
    document = run("diff", trained, trained / "checkpoint-30", "--json").document
    changed = [row for row in document["modules"] if abs(row["growth"] - 1) > 1e-6]
    assert len(changed) == 1
    assert changed[0]["module"].endswith("q_proj")
    assert changed[0]["growth"] == pytest.approx(2)
    assert changed[0]["cosine"] == pytest.approx(1)
    assert document["same"] is False


def test_other_modules_and_ranks(make_adapter):
    """Weights that only one has are told; ranks may differ."""
    one = make_adapter("one-lora", modules=("q_proj", "v_proj"), rank=2)
    other = make_adapter("two-lora", modules=("q_proj", "o_proj"), rank=5)
    rows = run("diff", one, other, "--json").document["modules"]
    sides = {row["module"].rpartition(".")[2]: (bool(row["before"]), bool(row["after"])) for row in rows}
    assert sides == {"q_proj": (True, True), "v_proj": (True, False), "o_proj": (False, True)}
    both = next(row for row in rows if row["before"] and row["after"])
    assert (both["before"]["rank"], both["after"]["rank"]) == (2, 5)
    assert -1 <= both["cosine"] <= 1
    assert "layers.0.self_attn.v_proj" in run("diff", one, other, "-v").stdout


def test_configuration_and_tokenizer(trained):
    """What differs there is told by key and id; the order of a list of modules is no difference."""
    for place, word in ((trained, "<one>"), (trained / "checkpoint-30", "<two>")):
        change(place, "tokenizer.json", model={"vocab": {"a": 0, word: 1}})
        change(place, "tokenizer_config.json", eos_token=word if place == trained else "a")
    change(trained, "adapter_config.json", target_modules=["b", "a"], r=3, lora_dropout=0.1, revision=None)
    change(trained / "checkpoint-30", "adapter_config.json", target_modules=["a", "b"])
    document = run("diff", trained, trained / "checkpoint-30", "--json").document
    assert document["settings"] == {"lora_dropout": {"before": 0.1, "after": "not set"}}
    assert document["tokens"] == {"1": {"before": "<one>", "after": "<two>"}}
    assert document["special"] == {"eos": {"before": 1, "after": 0}}
    text = run("diff", trained, trained / "checkpoint-30").stdout
    assert "token 1: '<one>' → '<two>'" in text
    assert "eos: 1 → 0" in text


def test_what_is_no_adapter(trained, tmp_path):
    """Both must be there and be adapters."""
    assert run("diff", trained, tmp_path / "nowhere").code == 2
    change(trained, "adapter_config.json", use_dora=True)
    assert run("diff", trained, trained / "checkpoint-10").code == 4
