"""The numbers of one tensor on their way into a file: order, factor, cast.

Rounding is to nearest, ties to even, everywhere.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.tensor_data import CHUNK_ELEMENTS, Q8_BLOCK, Q8_STORAGE, Float32, Stored, to_float32

Bits = npt.NDArray[np.uint16]
_MAGNITUDE = np.uint16(0x7FFF)
_SIGN = np.uint16(0x8000)
_BF16_IN_F16_FROM = np.uint16((127 - 14) << 7)
_BF16_IN_F16_SPAN = np.uint16(30 << 7)
_F16_FROM = np.uint16(1 << 10)
_BF16_NAN = np.uint16(0x7FC0)


def to_bf16(numbers: Float32) -> Bits:
    """Return float32 numbers as the bits of bfloat16, rounded to nearest, ties to even."""
    bits = numbers.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    cast = (rounded >> np.uint32(16)).astype(np.uint16)
    cast[np.isnan(numbers)] = _BF16_NAN
    return cast


def to_q8(numbers: Float32) -> Stored:
    """Return float32 numbers as blocks of Q8_0, as ggml makes them: halves are rounded away from zero."""
    blocks = numbers.reshape(-1, Q8_BLOCK)
    scales = np.abs(blocks).max(axis=1, initial=0.0, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=scales > 0)
    scaled = blocks * inverse
    whole = np.floor(np.abs(scaled))
    whole += np.abs(scaled) - whole >= np.float32(0.5)
    cast = np.empty(len(blocks), Q8_STORAGE)
    cast["scale"] = scales[:, 0].astype(np.float16)
    cast["quants"] = np.nan_to_num(np.copysign(whole, scaled)).astype(np.int8)
    return cast


CASTS: dict[str, Callable[[Float32], Stored]] = {
    "f16": lambda numbers: numbers.astype(np.dtype("<f2")),
    "f32": lambda numbers: numbers.astype(np.dtype("<f4"), copy=False),
    "bf16": to_bf16,
    "q8_0": to_q8,
}
"""Type → what brings float32 numbers to it; what is too large for it becomes infinite."""


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
