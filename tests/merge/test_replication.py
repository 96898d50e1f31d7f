"""Models whose layers were repeated before training: the merged file, what proves it, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from archive import unpacked
from terminal import run

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import InputError, ProofError, UnsupportedError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.combine import sum_adapters
from ollama_pack.lora.peft.directory import resolve_directory
from ollama_pack.lora.peft.load import load_adapter
from ollama_pack.lora.replication import replicated_layers
from ollama_pack.verify.merged import prove_merged


def home() -> Path:
    return unpacked("kinds", "llama") / "layer-replication"


def base():
    return read_base_gguf(unpacked("kinds", "llama") / "base.gguf")


def adapter():
    return load_adapter(resolve_directory(home(), ""), merging=True)


def merged(path: Path) -> Path:
    ran = run("merge", home(), "--base", unpacked("kinds", "llama") / "base.gguf", "--out", path)
    assert ran.code == 0, ran.stderr
    return path


def test_each_layer_is_there_as_often_as_in_training(tmp_path):
    """Layers 0, 1 and 1 again: what no copy changes has the bytes of its layer, what each changes differs."""
    found = read_gguf(merged(tmp_path / "merged.gguf"))
    assert found.integer("llama.block_count") == 3
    held = {each.name: np.array(each.data) for each in gguf.GGUFReader(found.path).tensors}
    before = {each.name: np.array(each.data) for each in gguf.GGUFReader(base().gguf).tensors}
    kinds = {name.removeprefix("blk.1.") for name in before if name.startswith("blk.1.")}
    assert {name.split(".")[1] for name in held if name.startswith("blk.")} == {"0", "1", "2"}
    for kind in kinds:
        same = not kind.startswith(("attn_q.", "attn_v.", "ffn_down."))
        assert np.array_equal(held[f"blk.2.{kind}"], before[f"blk.1.{kind}"]) is same, kind
        assert np.array_equal(held[f"blk.2.{kind}"], held[f"blk.1.{kind}"]) is same, kind


def test_the_proof_finds_another_layer(tmp_path):
    """A copy that is another layer, and a wrong number of layers, are found by name."""
    path = merged(tmp_path / "merged.gguf")
    assert prove_merged(adapter(), base(), path).result.passed
    tensor = next(each for each in gguf.GGUFReader(path, "r+").tensors if each.name == "blk.2.attn_k.weight")
    tensor.data[0] += 1
    with pytest.raises(ProofError, match="differs from that of the base") as caught:
        prove_merged(adapter(), base(), path)
    assert "blk.2.attn_k.weight" in caught.value.where
    field = gguf.GGUFReader(merged(path), "r+").fields["llama.block_count"]
    field.parts[field.data[0]][0] = 2
    with pytest.raises(ProofError, match="number of layers"):
        prove_merged(adapter(), base(), path)


@pytest.mark.parametrize("ranges", [[[0, 3]], [[1, 1]], [[-1, 2]], [["0", "2"]], [[0]], 7, [[0, 1.5]]])
def test_ranges_that_are_none(tmp_path, ranges):
    """What is no range of the layers of the base is told with the setting."""
    ada = shutil.copytree(home(), tmp_path / "ada")
    config = json.loads((ada / "adapter_config.json").read_text("utf-8"))
    (ada / "adapter_config.json").write_text(json.dumps({**config, "layer_replication": ranges}), "utf-8")
    with pytest.raises(InputError, match="is not a range of the 2 layers") as caught:
        replicated_layers(load_adapter(resolve_directory(ada, ""), merging=True), base())
    assert "layer_replication" in caught.value.where


@pytest.mark.parametrize("arch", ["gemma3", "qwen2"])
def test_another_architecture(arch):
    """Where a layer may be computed by its number, it is refused, with the way by PEFT."""
    other = replace(base(), hparams=replace(base().hparams, arch=arch))
    with pytest.raises(UnsupportedError, match=f"Layers of {arch} cannot be repeated") as caught:
        replicated_layers(adapter(), other)
    assert "copy.deepcopy(layer)" in caught.value.hint


def test_a_sum_of_different_layers():
    """Adapters of different layers have no sum."""
    plain = load_adapter(resolve_directory(unpacked("kinds", "llama") / "plain", ""), merging=True)
    with pytest.raises(UnsupportedError, match="trained on different layers"):
        sum_adapters([adapter(), plain], [0.5, 0.5])
