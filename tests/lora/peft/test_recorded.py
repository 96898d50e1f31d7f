"""Adapters as their trainers saved them: read as what they are, or stopped by the rule they are under."""

import sys

import numpy as np
import pytest
from archive import unpacked
from recipes import safetensors

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.peft.directory import open_adapter, resolve_directory
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.unsupported import RULES

RECORDS = unpacked("kinds", "llama")

READ = {
    "plain": ("LoRA", 4 / 3),
    "rslora": ("LoRA", 4 / 3**0.5),
    "torchtune": ("LoRA", 5 / 3),
    "mlx": ("LoRA", 4.0),
    "adalora": ("AdaLoRA", 6 / (4 + 1e-5)),
    "adalora-pruned": ("AdaLoRA", 6 / (4 + 1e-5)),
    "vera": ("VeRA", 1.0),
    "loha": ("LoHa", 20 / 2),
    "lokr": ("LoKr", 6 / 2),
    "miss": ("MiSS", 1.0),
    "bone": ("Bone", 1.0),
    "vblora": ("VB-LoRA", 1.0),
    "vblora-topk-only": ("VB-LoRA", 1.0),
    "delora": ("DeLoRA", 1.0),
    "gralora": ("GraLoRA", 8 / 4),
    "gralora-hybrid": ("GraLoRA", 8 / 4),
    "tinylora": ("TinyLoRA", 1.0),
    "fourierft": ("FourierFT", 1.0),
    "bdlora": ("LoRA", 4 / 4),
    "qalora-pooled": ("LoRA", 4 / 3),
}


@pytest.mark.parametrize(("case", "truth"), READ.items(), ids=READ)
def test_read_as_what_it_is(case, truth):
    """Method and scale are those of the training, for every weight."""
    method, scale = truth
    adapter = read_adapter(RECORDS / case)
    assert adapter.method == method
    assert [pair.scale for pair in adapter.pairs] == pytest.approx([scale] * len(adapter.pairs), rel=1e-12)


STOPPED = {
    "prompt-tuning": "prompt", "ia3": "multiplicative", "miss-bat": "multiplicative",
    "pissa": "altered-base", "vera-no-projection": "no-projection", "layer-replication": "replication",
    "vision": "vision", "save-norm": "norm", "resized": "resized", "twice": "twice",
    "empty-443": "empty", "zero-b": "noop", "nan": "not-finite",
}  # fmt: skip


@pytest.mark.parametrize(("case", "rule"), STOPPED.items(), ids=STOPPED)
def test_stopped_by_its_rule(case, rule):
    """What A and B cannot hold is stopped under its rule, with the file and what it is about."""
    with pytest.raises((InputError, UnsupportedError)) as caught:
        read_adapter(RECORDS / case)
    assert f"{RULES[rule].feature}: {RULES[rule].reason}" in caught.value.what
    assert str(RECORDS / case) in caught.value.where


def test_every_tensor_of_another_method_is_told():
    """A method that has no A and B is told with its name and its tensors."""
    with pytest.raises(UnsupportedError) as caught:
        read_adapter(RECORDS / "prompt-tuning")
    assert "peft_type = PROMPT_TUNING" in caught.value.what
    assert "prompt_embeddings" in caught.value.what


def test_a_pickle_is_found_and_not_opened(monkeypatch):
    """A pickle alone is found without torch, which is asked for when it is read."""
    monkeypatch.setitem(sys.modules, "torch", None)
    found = open_adapter(resolve_directory(RECORDS / "bin"))
    assert found.weights.name == "adapter_model.bin"
    with pytest.raises(UnsupportedError, match="torch"):
        found.read()


def test_safetensors_before_a_pickle(make_adapter, monkeypatch):
    """Where both lie beside each other the pickle is left alone."""
    monkeypatch.setitem(sys.modules, "torch", None)
    directory = make_adapter()
    (directory / "adapter_model.bin").write_bytes(b"anything")
    assert read_adapter(directory).weights.name == "adapter_model.safetensors"


def test_tensors_of_mlx_are_made():
    """mlx-lm's factors lie transposed in their file, so A and B are made of them."""
    sides = [side for pair in read_adapter(RECORDS / "mlx").pairs for side in (pair.a, pair.b)]
    assert all(isinstance(side, LazyTensor) for side in sides)
    assert {side.path.name for side in sides} == {"adapters.safetensors"}


def test_whole_weights_of_mlx(tmp_path):
    """What mlx-lm trained in full is no LoRA, and refused by its tensors."""
    (tmp_path / "adapter_config.json").write_text('{"fine_tune_type": "full"}')
    content = safetensors({"model.layers.0.mlp.down_proj.weight": np.ones((2, 2))})
    (tmp_path / "adapters.safetensors").write_bytes(content)
    with pytest.raises(UnsupportedError, match="linear weights"):
        read_adapter(tmp_path)
