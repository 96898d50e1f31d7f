"""Numbers on their way into a file: order, factor, rounding, and the limits of f16."""

import numpy as np
import pytest
from recipes import safetensors

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.quants import bf16_to_f16
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.lora.export_tensor import cast_tensor
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.plan import LoraTensor


@pytest.fixture
def cast(tmp_path):
    """Return a function that stores numbers, and casts them as one tensor of a file."""

    def store_and_cast(numbers, dtype="F32", outtype="f16", order=None, factor=1.0):
        path = tmp_path / "weights.safetensors"
        path.write_bytes(safetensors({"layer.x": np.asarray(numbers, np.float32)}, dtype))
        tensor = LoraTensor("x.lora_b", read_safetensors(path)["layer.x"], order, factor)
        with TensorReader() as weights:
            return cast_tensor(weights, tensor, outtype)

    return store_and_cast


NUMBERS = np.random.default_rng(3).normal(0, 2, (6, 4)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("outtype", ["f16", "f32"])
@pytest.mark.parametrize("factor", [1.0, 1.7, -0.01], ids=["as is", "larger", "smaller, negative"])
def test_every_road(cast, dtype, outtype, factor):
    """From any dtype to any other, with a factor or without, one rounding from float32 is made."""
    exact = cast(NUMBERS, dtype, "f32")
    expected = (exact * np.float32(factor)).astype(outtype.replace("f", "float"))
    found = cast(NUMBERS, dtype, outtype, factor=factor)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_order(cast, dtype):
    """Row i of the result is row order[i] of the source, and the result is contiguous."""
    order = (5, 0, 3, 1, 2, 4)
    found = cast(NUMBERS, dtype, order=order)
    assert np.array_equal(found, cast(NUMBERS, dtype)[list(order)])
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        pytest.param(1 + 2.0**-11, 1.0, id="a tie goes down to the even neighbour"),
        pytest.param(1 + 3 * 2.0**-11, 1 + 2.0**-9, id="a tie goes up to the even neighbour"),
        pytest.param(2.0**-25, 0.0, id="half the smallest number becomes zero"),
        pytest.param(1.5 * 2.0**-24, 2.0**-23, id="a subnormal tie goes to even"),
        pytest.param(-65519.0, -65504.0, id="the last number that rounds to the largest"),
    ],
)
@pytest.mark.parametrize("factor", [1.0, 2.0], ids=["as is", "with a factor"])
def test_rounding(cast, number, rounded, factor):
    """Rounding to f16 is to nearest, ties to even."""
    assert cast([[number / factor]], factor=factor)[0, 0] == rounded


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=["NaN", "infinity", "minus infinity"])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("outtype", ["f16", "f32"])
@pytest.mark.parametrize("factor", [1.0, 0.5], ids=["as is", "with a factor"])
def test_diverged(cast, bad, dtype, outtype, factor):
    """A weight that is NaN or infinite is an InputError that names the tensor and counts them."""
    with pytest.raises(InputError, match="2 of 6 weights are NaN or infinite") as caught:
        cast([[1, bad, 3], [4, 5, bad]], dtype, outtype, factor=factor)
    assert caught.value.where.endswith(": layer.x")


@pytest.mark.parametrize("number", [65520.0, -65520.0, 1e30])
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_too_large_for_f16(cast, number, dtype):
    """A finite weight beyond f16 is not damage: f32 is offered, and takes it."""
    with pytest.raises(UnsupportedError, match="too large for f16, which ends at 65504") as caught:
        cast([[1, number]], dtype)
    assert caught.value.hint == "--outtype f32"
    assert caught.value.where.endswith(": layer.x")
    assert np.isfinite(cast([[1, number]], dtype, "f32")).all()


def test_factor_too_large_for_f16(cast):
    """What the factor lifts beyond f16 is told as the product."""
    with pytest.raises(UnsupportedError, match="A weight of 80000 is too large for f16"):
        cast([[1, 40000]], "F16", factor=2.0)


def test_factor_too_large_for_f32(cast):
    """What the factor lifts beyond float32 is told without offering float32."""
    with pytest.raises(UnsupportedError, match="too large for f32") as caught:
        cast([[1, 1e38]], outtype="f32", factor=10.0)
    assert "--outtype" not in caught.value.hint


def test_no_numbers(cast):
    """A tensor of no elements is cast to one of no elements."""
    assert cast(np.ones((0, 4))).shape == (0, 4)


def test_bits_are_left_alone():
    """The bits that came in are not written to."""
    bits = np.array([0x0000, 0x3F80, 0x7F80], np.uint16)
    bf16_to_f16(bits)
    assert bits.tolist() == [0x0000, 0x3F80, 0x7F80]
