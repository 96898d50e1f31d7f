"""Laws of the cast: each road rounds once, and an order loses nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipes import safetensors
from strategies import dtypes, matrices, outtypes

from ollama_pack.gguf.quants import bf16_to_f16, cast_float32
from ollama_pack.gguf.tensor_data import CHUNK_ELEMENTS, TensorReader, to_float32
from ollama_pack.lora.export_tensor import cast_tensor
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.plan import LoraTensor

pytestmark = pytest.mark.property


def test_all_bfloat16():
    """For each of the 65536 bfloat16, integer arithmetic gives what the road through float32 gives."""
    bits = np.arange(65536, dtype=np.uint16)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = to_float32(bits, "BF16").astype(np.float16)
    found = bf16_to_f16(bits)
    numbers = ~np.isnan(expected)
    assert np.array_equal(found.view(np.uint16)[numbers], expected.view(np.uint16)[numbers])
    assert np.isnan(found[~numbers]).all()


@given(st.integers(1, 3 * CHUNK_ELEMENTS))
def test_blocks_have_no_seam(size):
    """However many bfloat16 there are, each is cast as it would be alone."""
    bits = np.arange(size, dtype=np.uint32).astype(np.uint16) & np.uint16(0x3FFF)
    alone = bf16_to_f16(np.arange(0x4000, dtype=np.uint16))
    assert np.array_equal(bf16_to_f16(bits), alone[bits])


@given(matrices, dtypes, outtypes, st.data())
def test_order_factor_cast(matrix, dtype, outtype, data):
    """Whatever the dtypes, the result is: numbers, ordered, times the factor in float32, rounded once."""
    order = data.draw(st.none() | st.permutations(range(len(matrix))).map(tuple))
    factor = data.draw(st.sampled_from([1.0, 0.25, 1 / 3, 0.999]))
    with TemporaryDirectory() as directory:
        path = Path(directory) / "x.safetensors"
        path.write_bytes(safetensors({"x": matrix}, dtype))
        tensor = read_safetensors(path)["x"]
        with TensorReader() as weights:
            numbers = weights.float32(tensor)
            found = cast_tensor(weights, LoraTensor("x", tensor, order, factor), outtype)
    rows = numbers if order is None else numbers[list(order)]
    assert np.array_equal(found, cast_float32(rows * np.float32(factor), outtype))


@given(matrices)
def test_bfloat16_is_half_a_float32(matrix):
    """A float32 whose lower half is empty survives as bfloat16."""
    bits = matrix.view(np.uint32) >> 16
    assert np.array_equal(to_float32(bits.astype(np.uint16), "BF16").view(np.uint32), bits << 16)
