"""Casts of the numbers of one tensor to the type they have in a file.

Rounding is to nearest, ties to even; that of Q8_0 is ggml's, which rounds halves away from zero. The cast to
bfloat16 is that of the gguf library. That to Q8_0, which nearly every merged weight takes, has the library's
bytes, and is faster. The one that nearly every adapter takes, bfloat16 to float16, is five times as fast as
the library's way over float32.
"""

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.code_layouts import put_bytes
from ollama_pack.gguf.tensor_data import (
    CHUNK_ELEMENTS,
    Q8_BLOCK,
    Q8_STORAGE,
    STORAGE,
    Float32,
    Stored,
    to_float32,
)

Bits = npt.NDArray[np.uint16]
_MAGNITUDE = np.uint16(0x7FFF)
_SIGN = np.uint16(0x8000)
_BF16_IN_F16_FROM = np.uint16((127 - 14) << 7)
_BF16_IN_F16_SPAN = np.uint16(30 << 7)
_F16_FROM = np.uint16(1 << 10)


def cast_float32(numbers: Float32, outtype: str) -> Stored:
    """Return float32 numbers as ``f16``, ``f32``, ``bf16`` or ``q8_0``; too large ones become infinite.

    bfloat16 comes as its bits, Q8_0 as blocks of `Q8_STORAGE`.
    """
    if outtype == "f16":
        return numbers.astype(np.dtype("<f2"))
    if outtype == "f32":
        return numbers.astype(np.dtype("<f4"), copy=False)
    if outtype == "q8_0":
        return _to_q8(np.ascontiguousarray(numbers))
    import gguf  # takes a third as long as the conversion of a small adapter, which is f16 by default

    kind = gguf.GGMLQuantizationType[outtype.upper()]
    cast: Stored = gguf.quants.quantize(np.ascontiguousarray(numbers), kind)
    return cast.view(STORAGE["BF16"])


CAST_AT_ONCE = 1 << 19
"""Numbers that are cast to Q8_0 at a time; with fewer, threads wait longer for each other."""

_ALMOST_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_ALL_BUT_THE_SIGN = np.uint32((1 << 31) - 1)


def _to_q8(numbers: Float32) -> Stored:
    """Return float32 numbers as Q8_0, with the bytes of ggml's and the gguf library's."""
    blocks = numbers.reshape(-1, Q8_BLOCK)
    cast = np.empty((*numbers.shape[:-1], numbers.shape[-1] // Q8_BLOCK), Q8_STORAGE)
    flat, step = cast.reshape(-1), CAST_AT_ONCE // Q8_BLOCK
    for start in range(0, len(blocks), step):
        _blocks_to_q8(blocks[start : start + step], flat[start : start + step])
    return cast


def _blocks_to_q8(blocks: Float32, cast: Stored) -> None:
    """Cast a part that fits the cache.

    Floats without their sign are ordered as their bits are, and numpy finds the largest of 32 integers in
    half the time. Each number is rounded, halves up, by adding the largest float below a half and truncating;
    then it gets its sign again.
    """
    numbers = blocks.reshape(-1)
    bits = numbers.view(np.uint32) & _ALL_BUT_THE_SIGN
    largest = np.maximum.reduceat(bits, np.arange(0, bits.size, Q8_BLOCK))
    scales = largest.view(np.float32) / np.float32(127)
    with np.errstate(divide="ignore"):
        units = np.where(scales == 0, np.float32(0), np.float32(1) / scales)
    sizes = bits.view(np.float32)
    sizes *= np.repeat(units, Q8_BLOCK)  # faster than to spread them over short rows
    sizes += _ALMOST_HALF
    counts, signs = sizes.astype(np.int8), np.signbit(numbers).view(np.int8)
    counts ^= -signs  # a complement and one more are a change of the sign
    counts += signs
    cast["scale"] = scales
    put_bytes(
        cast.view(np.uint8).reshape(-1, Q8_STORAGE.itemsize), 2, counts.view(np.uint8).reshape(-1, Q8_BLOCK)
    )


def bf16_to_f16(bits: Bits) -> npt.NDArray[np.float16]:
    """Return bfloat16 numbers, given as their bits, as float16.

    Both have the sign on top, and every bfloat16 in float16's normal range keeps its bits but for
    the exponent's bias, so the bulk is integer arithmetic on 16 bits; only what lies outside (zero,
    subnormal, too large, NaN) goes through float32.
    """
    result = np.empty(bits.shape, np.uint16)
    numbers, into = bits.reshape(-1), result.reshape(-1)
    room = np.empty(min(CHUNK_ELEMENTS, numbers.size), np.uint16)
    for start in range(0, numbers.size, CHUNK_ELEMENTS):
        block = numbers[start : start + CHUNK_ELEMENTS]
        _bf16_block_to_f16(block, into[start : start + CHUNK_ELEMENTS], room[: block.size])
    return result.view(np.float16)


def _bf16_block_to_f16(bits: Bits, into: Bits, room: Bits) -> None:
    """Cast a part that fits the cache, with room for one number each."""
    np.bitwise_and(bits, _MAGNITUDE, out=room)
    room -= _BF16_IN_F16_FROM  # wraps below
    np.left_shift(room, np.uint16(3), out=into)
    into += _F16_FROM
    outside = np.flatnonzero(room >= _BF16_IN_F16_SPAN)
    np.bitwise_and(bits, _SIGN, out=room)
    into |= room
    if outside.size:
        with np.errstate(over="ignore", invalid="ignore"):
            into[outside] = to_float32(bits[outside], "BF16").astype(np.float16).view(np.uint16)
