"""A look at every number: NaN and infinity by tensor and count, and adapters that do nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import LoraPair
from ollama_pack.lora.algebra import scale_rows_by_tensor
from ollama_pack.lora.peft.finite_check import check_finite
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.unsupported import RuleViolations

V0 = "model.layers.0.self_attn.v_proj"
Q0 = "model.layers.0.self_attn.q_proj"
ROOT = "base_model.model."


def tensor(numbers, name):
    numbers = np.asarray(numbers, np.float32)
    return LazyTensor(Path("x"), name, numbers.shape, (), lambda: numbers)


def look(*pairs, **options):
    findings = RuleViolations("x")
    check_finite(pairs, findings, **options)
    return findings


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize(
    "bad",
    [[np.nan, np.inf], [-np.inf, -np.inf], [np.nan, np.nan]],
    ids=["both", "minus infinity", "NaN"],
)
def test_numbers_that_are_none(make_adapter, dtype, bad):
    """NaN and infinity are told with their tensor and how many there are, whatever the dtype."""
    numbers = np.ones((3, 20))
    numbers[1, 3:5] = bad
    directory = make_adapter(extra={f"{ROOT}{V0}.lora_A.weight": numbers}, dtype=dtype)
    with pytest.raises(InputError, match=r"v_proj\.lora_A\.weight: 2 of 60 numbers"):
        read_adapter(directory)


def test_every_bad_tensor_is_told(make_adapter):
    """All tensors with such numbers are in one error, each with its own count."""
    extra = {
        f"{ROOT}{V0}.lora_A.weight": np.full((3, 20), np.nan),
        f"{ROOT}{Q0}.lora_B.weight": np.full((24, 3), np.inf),
    }
    with pytest.raises(InputError) as caught:
        read_adapter(make_adapter(extra=extra))
    assert "v_proj.lora_A.weight: 60 of 60 numbers" in caught.value.what
    assert "q_proj.lora_B.weight: 72 of 72 numbers" in caught.value.what


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_largest_and_smallest_numbers(make_adapter, dtype):
    """Numbers at the ends of a dtype are numbers: neither infinite, nor all zero."""
    largest, smallest = {"F32": (3.4e38, 1e-45), "F16": (65504, 6e-8), "BF16": (3.3e38, 1e-40)}[dtype]
    extra = {
        f"{ROOT}{V0}.lora_A.weight": np.full((3, 20), -largest),
        f"{ROOT}{V0}.lora_B.weight": np.full((12, 3), smallest),
    }
    adapter = read_adapter(make_adapter(extra=extra, layers=(0,), modules=("v_proj",), dtype=dtype))
    assert [pair.module for pair in adapter.pairs] == [V0]


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_noop(make_adapter, zero, dtype):
    """An adapter whose every B is zero is told, unless it is meant; one B that is not is enough."""
    extra = {
        f"{ROOT}{V0}.lora_B.weight": np.full((12, 3), zero),
        f"{ROOT}{Q0}.lora_B.weight": np.ones((24, 3)),
    }
    modules = {"modules": ("v_proj", "q_proj"), "layers": (0,), "dtype": dtype}
    assert len(read_adapter(make_adapter(extra=extra, **modules)).pairs) == 2
    extra[f"{ROOT}{Q0}.lora_B.weight"] = np.full((24, 3), zero)
    directory = make_adapter(extra=extra, **modules)
    with pytest.raises(InputError, match="does nothing"):
        read_adapter(directory)
    assert len(read_adapter(directory, allow_noop=True).pairs) == 2


def test_alpha_of_zero(make_adapter):
    """An alpha of 0 does nothing to PEFT, and would be a scale of 1 to llama.cpp."""
    directory = make_adapter(alpha=0)
    with pytest.raises(InputError, match="its scale is 0"):
        read_adapter(directory)
    config = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(json.dumps({**config, "alpha_pattern": {"v_proj": 3}}))
    scales = {pair.scale for pair in read_adapter(directory).pairs}
    assert scales == {0.0, 1.0}


def test_zeros_inside_a_fold():
    """A product is zero where any of its factors is, also one that a fold multiplied in."""
    e, a, b = (
        tensor(numbers, name)
        for numbers, name in ((np.zeros((2, 1)), "e"), (np.ones((2, 5)), "a"), (np.ones((7, 2)), "b"))
    )
    assert look(LoraPair("m", scale_rows_by_tensor(a, e), b, 1.0)).codes == ("noop",)
    assert look(LoraPair("m", a, b, 1.0)).codes == ()


def test_one_tensor_of_many_pairs():
    """A tensor that all weights share is looked at once, and told once."""
    shared, b = tensor([[np.nan]], "vera_A"), tensor([[1.0]], "b")
    error = look(LoraPair("m", shared, b, 1.0), LoraPair("n", shared, b, 1.0)).fatal("not-finite")
    assert error.what.count("vera_A: 1 of 1 numbers") == 1


def test_damage_is_no_noop():
    """Where numbers are none it is too early to say that the adapter does nothing."""
    a, b = tensor([[np.inf]], "a"), tensor([[0.0]], "b")
    assert look(LoraPair("m", a, b, 1.0)).codes == ("not-finite",)
