"""Classes that are not in transformers: our rows move what llama.cpp's converter moved, and nothing else.

Recorded by ``tests/reference/record_foreign.py``: weights as their class has them, and the GGUF file that the
converter made of them. Here each is put in the order of its row, and must be the converter's.
"""

import json

import numpy as np
import pytest
from archive import names_of, unpacked

from ollama_pack.arch.spec import Kind, dimension, find_targets
from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.hf_config import read_config
from ollama_pack.errors import UnsupportedError
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.peft.safetensors_header import read_safetensors

RECORDS = "archs-foreign"
RECORDED = names_of(RECORDS)


PLACELESS = ("ffn.experts.mlp.w1", "ffn.experts.mlp.v1", "ffn.experts.mlp.w2")
"""The experts of DBRX, which PEFT cannot train."""

TRANSPOSED = ("jais",)
"""Rows whose weights lie in × out, as GPT-2's; PEFT knows, and A and B are of out × in."""


def as_peft_sees(weight: np.ndarray, target, base) -> np.ndarray:
    """Return a weight the way round that its A and B have."""
    turned = target.weight.kind is Kind.EXPERTS_TRANSPOSED
    turned |= base.hparams.arch in TRANSPOSED and target.weight.kind is Kind.LINEAR
    return np.swapaxes(weight, -1, -2) if turned else weight


@pytest.mark.parametrize("name", RECORDED)
def test_each_weight_lies_where_the_converter_put_it(name):
    """Every linear weight of the class has its place in the row, its rows in the converter's order."""
    folder = unpacked(RECORDS, name)
    path = folder / "base.gguf"
    base, written = read_base_gguf(path), read_gguf(path)
    arch, moved, ordered = require_arch(base.hparams.arch), False, False
    with TensorReader() as source:
        for tensor, stored in read_safetensors(folder / "weights.safetensors").items():
            module = tensor.removesuffix(".weight")
            targets = find_targets(arch, module)
            assert bool(targets) is not module.endswith(PLACELESS), f"{tensor} has no place, or one"
            for target in (target for target in targets if not target.weight.unsupported):
                numbers, rows = as_peft_sees(source.float32(stored), target, base), target.weight.rows
                own, ordered = base.hparams.at_layer(target.block), ordered or rows is not None
                order = slice(None) if rows is None else list(rows(own, numbers.shape[-2]))
                across = target.weight.columns
                columns = slice(None) if across is None else list(across(own, numbers.shape[-1]))
                wanted = numbers[..., order, :][..., columns]
                moved |= not np.array_equal(wanted, numbers)
                found = source.float32(written.stored(target.tensor))
                assert np.array_equal(found[target.expert] if target.expert >= 0 else found, wanted), tensor
    assert moved == ordered


@pytest.mark.parametrize("name", RECORDED)
def test_the_class_is_the_row_s(name):
    """The class that was recorded is one of the row that its base has."""
    folder = unpacked(RECORDS, name)
    model = json.loads((folder / "class.json").read_text("utf-8"))["class"]
    assert model in require_arch(read_base_gguf(folder / "base.gguf").hparams.arch).hf_classes


def test_heads_that_were_searched():
    """A config.json that does not have the heads of each block is refused; the GGUF file tells them."""
    with pytest.raises(UnsupportedError, match=r"not in config\.json") as caught:
        read_config(unpacked(RECORDS, "deci-nas")).base()
    assert "--base FILE.gguf" in caught.value.hint


@pytest.mark.parametrize("name", [name for name in RECORDED if name != "deci-nas"])
def test_config_and_header_agree(name):
    """config.json of a model tells the same numbers as the header of its GGUF file, block by block."""
    folder = unpacked(RECORDS, name)
    header, config = read_base_gguf(folder / "base.gguf"), read_config(folder).base()
    sizes = {size for weight in require_arch(header.hparams.arch).weights for size in weight.shape}
    assert (config.hparams.arch, config.hparams.blocks, config.hparams.hidden) == (
        header.hparams.arch,
        header.hparams.blocks,
        header.hparams.hidden,
    )
    for block in range(header.hparams.blocks):
        told, real = config.hparams.at_layer(block), header.hparams.at_layer(block)
        heads = ("heads", "kv_heads", "head_dim") if require_arch(header.hparams.arch).has_heads else ()
        assert [getattr(told, each) for each in heads] == [getattr(real, each) for each in heads]
        for size in sizes:
            numbers = dimension(size, told), dimension(size, real)
            assert len(set(numbers) - {0}) <= 1, (size, numbers)


def test_embeddings_are_kept():
    """A weight that is looked up has no order in any row: its LoRA is held the other way round."""
    assert not [w for arch in all_archs() for w in arch.weights if w.kind is Kind.EMBEDDING and w.rows]
