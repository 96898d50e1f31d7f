"""Blocks are read and written bit for bit as the gguf library does it, whatever the bytes and numbers are."""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.gguf.blocks import read_blocks, read_by_library, write_blocks
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS
from ollama_pack.gguf.ggml_types import BLOCKS, Q8_0

KINDS = [pytest.param(kind, id=gguf.GGMLQuantizationType(kind).name) for kind in (*CODE_LAYOUTS, Q8_0)]


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1 << 32), rows=st.integers(1, 70))
def test_what_is_read(kind, seed, rows):
    """Any bytes are the numbers that the library reads of them, to the bit, and NaN where it reads NaN."""
    elements, nbytes = BLOCKS[kind]
    raw = np.random.default_rng(seed).integers(0, 256, rows * 2 * nbytes, np.uint8)
    with np.errstate(all="ignore"):
        ours = read_blocks(raw, kind, 2 * elements)
        theirs = read_by_library(raw, kind, 2 * elements)
    assert ours.shape == theirs.shape == (rows, 2 * elements)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    there = ~np.isnan(theirs)
    assert np.array_equal(ours[there].view(np.uint32), theirs[there].view(np.uint32))


def usual(random: np.random.Generator) -> np.ndarray:
    """Return numbers of any size."""
    return random.normal(0, 1, (40, 64)) * 10.0 ** random.integers(-44, 37, (40, 1))


def halves(random: np.random.Generator) -> np.ndarray:
    """Return numbers that are halves of the unit of their block."""
    counts = random.integers(-254, 255, (40, 64))
    counts[:, ::32] = 254
    return counts * 2.0 ** random.integers(-30, 30, (40, 1))


def beside_halves(random: np.random.Generator) -> np.ndarray:
    """Return neighbours of halves among the float32 numbers."""
    counts = (random.integers(-254, 255, (40, 64)) / 2).astype(np.float32)
    counts = np.nextafter(counts, random.choice(np.float32([-np.inf, np.inf]), counts.shape))
    counts[:, ::32] = 127
    return counts


def any_bits(random: np.random.Generator) -> np.ndarray:
    """Return any bits that are finite numbers, with zeros of both signs, and blocks of zeros."""
    numbers = random.integers(0, 1 << 32, (40, 64), np.uint32).view(np.float32)
    numbers[~np.isfinite(numbers)] = -0.0
    numbers[:3] = 0.0
    return numbers


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind):
    """Of a tensor that grows, the rows that are new have no bytes in the base."""
    elements = BLOCKS[kind][0]
    assert read_blocks(np.empty(0, np.uint8), kind, 2 * elements).shape == (0, 2 * elements)


@pytest.mark.parametrize("numbers", [usual, halves, beside_halves, any_bits])
@given(seed=st.integers(0, 1 << 32))
def test_what_is_written_in_q8_0(numbers, seed):
    """Numbers of every kind become the bytes that the library writes, halves and their neighbours too."""
    given_numbers = numbers(np.random.default_rng(seed)).astype(np.float32)
    with np.errstate(all="ignore"):
        ours = write_blocks(given_numbers, Q8_0)
        theirs = gguf.quants.quantize(given_numbers, gguf.GGMLQuantizationType.Q8_0)
    assert np.array_equal(ours, theirs.reshape(-1))


def test_more_than_is_cast_at_once():
    """A matrix that is cast in parts has the bytes of the whole."""
    numbers = np.random.default_rng(2).normal(0, 1, (131, 32 * 134)).astype(np.float32)
    theirs = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType.Q8_0)
    assert np.array_equal(write_blocks(numbers, Q8_0), theirs.reshape(-1))
