"""What holds for every row of the table; a new row is under test before its author writes a line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adapters import Recipe, read_numbers, tensors_of, write_adapter
from gguf import GGUFReader, GGUFValueType
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.archs import ARCHS, dimension, find_arch, find_target
from ollama_pack.errors import UnsupportedError
from ollama_pack.gguf_io.write import write_lora
from ollama_pack.mapping import map_adapter
from ollama_pack.parts import Base
from ollama_pack.peft import read_adapter

every_row = pytest.mark.parametrize("arch", ARCHS, ids=lambda arch: arch.name)
HALVED = {("llama", "q_proj"): "heads", ("llama", "k_proj"): "kv_heads"}
"""Where llama.cpp wants the halves of each head side by side: architecture, module → whose heads."""


@pytest.fixture
def base(arch, tiny_base) -> Base:
    """Return the tiny base as this architecture, untied, with all tensors."""
    return replace(tiny_base, arch=arch.name, tensors=tensors_of(tiny_base, tied=False))


@pytest.fixture
def converted(base, tmp_path):
    """Return a directory with an adapter on every module of a llama-like row, and its GGUF file."""
    directory = write_adapter(tmp_path / "ada", head=True, alpha=0.3)
    path = tmp_path / "ada.gguf"
    write_lora(map_adapter(read_adapter(directory), base), path, "f32")
    return directory, path


def reordered(arch: str, module: str, base: Base, weight: np.ndarray) -> np.ndarray:
    """Return a weight as llama.cpp wants its rows, told without a permutation: by axes."""
    heads = HALVED.get((arch, module.rpartition(".")[2]))
    if heads is None:
        return weight
    split = weight.reshape(getattr(base, heads), 2, base.head_dim // 2, -1)
    return split.swapaxes(1, 2).reshape(weight.shape)


@every_row
@pytest.mark.property
@given(heads=st.integers(1, 40), kv_heads=st.integers(1, 40), half=st.integers(1, 80))
def test_orders_are_bijections(arch, heads, kv_heads, half):
    """Every order names each row once, for any number and size of heads."""
    base = Base(arch=arch.name, blocks=1, heads=heads, kv_heads=kv_heads, head_dim=2 * half, hidden=8)
    for weight in arch.weights:
        if weight.rows is not None:
            order = weight.rows(base)
            assert sorted(order) == list(range(dimension(weight.shape[0], base)))


@every_row
def test_names_agree_with_gguf(arch):
    """gguf-py calls every tensor by the same name."""
    modules = {
        weight.module.replace("{i}", "2"): weight.tensor.replace("{i}", "2") for weight in arch.weights
    }
    command = [sys.executable, Path(__file__).with_name("ask_gguf.py"), arch.name, json.dumps(list(modules))]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(answer.stdout) == modules


@every_row
def test_map_then_multiply(arch, base, converted):
    """ΔW of the file is ΔW of the adapter with its rows moved: the order of steps does not matter."""
    directory, path = converted
    factors = read_numbers(directory / "adapter_model.safetensors")
    written = {tensor.name: tensor.data.astype(np.float64) for tensor in GGUFReader(path).tensors}
    for module in Recipe(head=True).names():
        a, b = (factors[f"base_model.model.{module}.lora_{side}.weight"] for side in "AB")
        name = find_target(arch, module).tensor
        assert np.array_equal(written[f"{name}.lora_b"], reordered(arch.name, module, base, b)), module
        product = written[f"{name}.lora_b"] @ written[f"{name}.lora_a"]
        np.testing.assert_allclose(product, reordered(arch.name, module, base, b @ a), rtol=1e-9, atol=1e-12)


@every_row
def test_file_is_read_by_gguf(arch, converted):
    """gguf-py reads the file: kind, architecture, alpha as float32, and every tensor as float32."""
    reader = GGUFReader(converted[1])
    alpha = reader.fields["adapter.lora.alpha"]
    assert reader.fields["general.architecture"].contents() == arch.name
    assert reader.fields["general.type"].contents() == "adapter"
    assert reader.fields["adapter.type"].contents() == "lora"
    assert (alpha.types, alpha.contents()) == ([GGUFValueType.FLOAT32], np.float32(0.3))
    assert {tensor.tensor_type.name for tensor in reader.tensors} == {"F32"}


@every_row
def test_factors_without_order_are_the_same_bytes(arch, converted):
    """Every A, and every B whose rows stay, has in the file the bytes it was trained with."""
    directory, path = converted
    factors = read_numbers(directory / "adapter_model.safetensors")
    written = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    for module in Recipe(head=True).names():
        target = find_target(arch, module)
        for side in "AB" if target.weight.rows is None else "A":
            tensor = written[f"{target.tensor}.lora_{side.lower()}"]
            source = factors[f"base_model.model.{module}.lora_{side}.weight"]
            assert tuple(reversed(tensor.shape)) == source.shape
            assert bytes(tensor.data) == source.astype("<f4").tobytes()


@every_row
def test_golden(arch, base, golden):
    """The whole row, one line a module, is what a person has read and kept."""
    golden(f"archs/{arch.name}.txt", "".join(line(weight, base) for weight in arch.weights))


def line(weight, base):
    rows = "as is"
    if weight.rows is not None:
        order = weight.rows(base)
        per_head = " ".join(map(str, order[: base.head_dim + 2]))
        rows = f"{per_head} … ({len(order)})"
    names = weight.module.replace("{i}", "1"), weight.tensor.replace("{i}", "1") + ".weight"
    shape = " × ".join(weight.shape)
    return f"{names[0]:<34}  {names[1]:<26}  {shape:<22}  rows {rows}; columns as is\n"


@every_row
def test_shapes_name_sizes(arch, base):
    """Every row of the table gives the shape its weight has in a base."""
    for weight in arch.weights:
        tensor = weight.tensor.replace("{i}", "0") + ".weight"
        assert tuple(dimension(size, base) for size in weight.shape) == base.tensors[tensor]


@every_row
def test_modules_are_unique(arch):
    """No module and no tensor stands in a row twice, and blocks are numbered on both sides."""
    assert len({weight.module for weight in arch.weights}) == len(arch.weights)
    assert len({weight.tensor for weight in arch.weights}) == len(arch.weights)
    assert all(("{i}" in weight.module) == ("{i}" in weight.tensor) for weight in arch.weights)


@every_row
def test_row_is_found(arch):
    """A row is found by its name, and its classes name Hugging Face's causal models."""
    assert find_arch(arch.name) is arch
    assert all(name.endswith("ForCausalLM") for name in arch.classes)


def test_names_are_unique():
    """Two rows have neither a name nor a class in common."""
    names = [arch.name for arch in ARCHS] + [name for arch in ARCHS for name in arch.classes]
    assert len(names) == len(set(names))


def test_unknown_row():
    """Asking for a row that is not there says how to see those that are."""
    with pytest.raises(UnsupportedError, match="'foo'") as caught:
        find_arch("foo")
    assert "ollama-pack archs" in caught.value.hint


@pytest.mark.parametrize(
    ("module", "tensor", "block"),
    [
        pytest.param("model.layers.0.self_attn.q_proj", "blk.0.attn_q.weight", 0, id="the first block"),
        pytest.param("model.layers.103.mlp.up_proj", "blk.103.ffn_up.weight", 103, id="a block of many"),
        pytest.param("lm_head", "output.weight", -1, id="the head, outside the blocks"),
    ],
)
def test_targets(module, tensor, block):
    """A module is found with its tensor's name and its block."""
    target = find_target(find_arch("llama"), module)
    assert (target.tensor, target.block) == (tensor, block)


STRANGERS = [
    "", "lm_head.0", "model.layers.self_attn.q_proj", "model.layers.0.q_proj", "model.embed_tokens",
    "x.model.layers.0.self_attn.q_proj", "model.norm", "model.layers.0.self_attn.q_proj.weight",
]  # fmt: skip


@pytest.mark.parametrize("module", STRANGERS)
def test_no_target(module):
    """What is no linear weight of a row has no place."""
    assert find_target(find_arch("llama"), module) is None


def test_unknown_size():
    """A row that names a size that does not exist is a bug, and shows as one."""
    with pytest.raises(KeyError):
        dimension("width", Base(arch="llama", blocks=1, heads=1, kv_heads=1, head_dim=2, hidden=2))
