"""The numbers of one tensor on their way into a file: order, factor, cast.

Rounding is to nearest, ties to even, everywhere.
"""

from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.parts import LoraTensor
from ollama_pack.weights import BLOCK, Stored, all_finite, read_stored, row_index, widened

Bits = npt.NDArray[np.uint16]

OUT_DTYPES: dict[str, np.dtype[Any]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}

_MAGNITUDE = np.uint16(0x7FFF)
_SIGN = np.uint16(0x8000)
_BF16_IN_F16_FROM = np.uint16((127 - 14) << 7)
_BF16_IN_F16_SPAN = np.uint16(30 << 7)
_F16_FROM = np.uint16(1 << 10)


def cast_tensor(file: FileIO, tensor: LoraTensor, outtype: str) -> Stored:
    """Return a tensor as it stands in the file: rows × columns, contiguous, ``f16`` or ``f32``.

    Raises:
        InputError: a weight is NaN or infinite, or the file ends inside the tensor.
        UnsupportedError: a weight is too large for f16.
    """
    stored, dtype = read_stored(file, tensor.source), tensor.source.dtype
    if tensor.order is not None:
        stored = stored[row_index(tensor.order)]
    if tensor.factor == 1.0 and dtype == "BF16" and outtype == "f16":
        cast: Stored = bf16_to_f16(stored.view(np.uint16))
    elif tensor.factor == 1.0 and stored.dtype == OUT_DTYPES[outtype] and dtype != "BF16":
        cast = stored
    else:
        numbers = widened(stored, dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below, and told by name
            if tensor.factor != 1.0:
                numbers = numbers * np.float32(tensor.factor)
            cast = numbers.astype(OUT_DTYPES[outtype], copy=False)
    if not all_finite(cast):
        raise _why_not_finite(widened(stored, dtype), tensor, outtype)
    return np.ascontiguousarray(cast)


def bf16_to_f16(bits: Bits) -> npt.NDArray[np.float16]:
    """Return bfloat16 numbers, given as their bits, as float16.

    Both have the sign on top, and every bfloat16 in float16's normal range keeps its bits but for
    the exponent's bias, so the bulk is integer arithmetic on 16 bits; only what lies outside (zero,
    subnormal, too large, NaN) goes through float32.
    """
    result = np.empty(bits.shape, np.uint16)
    numbers, into = bits.reshape(-1), result.reshape(-1)
    room = np.empty(min(BLOCK, numbers.size), np.uint16)
    for start in range(0, numbers.size, BLOCK):
        block = numbers[start : start + BLOCK]
        _bf16_block_to_f16(block, into[start : start + BLOCK], room[: block.size])
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
            into[outside] = widened(bits[outside], "BF16").astype(np.float16).view(np.uint16)


def _why_not_finite(
    numbers: npt.NDArray[np.float32], tensor: LoraTensor, outtype: str
) -> InputError | UnsupportedError:
    where = f"{tensor.source.path}: {tensor.source.name}"
    bad = numbers.size - int(np.isfinite(numbers).sum())
    if bad:
        return InputError(
            f"{bad} of {numbers.size} weights are NaN or infinite: the training diverged.",
            where=where,
            hint="build an earlier checkpoint, from before the loss became NaN",
        )
    largest = float(np.abs(numbers).max()) * abs(tensor.factor)
    return UnsupportedError(
        f"A weight of {largest:g} is beyond {outtype}, which ends at {np.finfo(OUT_DTYPES[outtype]).max:g}.",
        where=where,
        hint="--outtype f32" if outtype == "f16" else "look at lora_alpha and alpha_pattern",
    )
