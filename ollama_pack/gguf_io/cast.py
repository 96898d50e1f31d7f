"""The numbers of one tensor on their way into a file: order, factor, cast.

Rounding is to nearest, ties to even, everywhere.
"""

from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.parts import LoraTensor
from ollama_pack.weights import Stored, read_stored, widened

OUT_DTYPES: dict[str, np.dtype[Any]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}

_MAGNITUDE = np.uint16(0x7FFF)
_SIGN = np.uint16(0x8000)
_F16_INFINITY = np.uint16(0x7C00)
_F32_INFINITY = np.uint32(0x7F800000)
_BF16_IN_F16_FROM = np.uint16((127 - 14) << 7)
_BF16_IN_F16_SPAN = np.uint16(30 << 7)
_BF16_TO_F16_BIAS = np.uint16(((127 - 15) << 10) % 2**16)  # taken modulo 2¹⁶, like the difference


def cast_tensor(file: FileIO, tensor: LoraTensor, outtype: str) -> Stored:
    """Return a tensor as it stands in the file: rows × columns, contiguous, ``f16`` or ``f32``.

    Raises:
        InputError: a weight is NaN or infinite, or the file ends inside the tensor.
        UnsupportedError: a weight is too large for f16.
    """
    stored, dtype = read_stored(file, tensor.source), tensor.source.dtype
    if tensor.order is not None:
        stored = stored[list(tensor.order)]
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
    if not _finite(cast):
        raise _why_not_finite(widened(stored, dtype), tensor, outtype)
    return np.ascontiguousarray(cast)


def bf16_to_f16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float16]:
    """Return bfloat16 numbers, given as their bits, as float16.

    Both have the sign on top, and every bfloat16 in float16's normal range keeps its bits but for
    the exponent's bias, so the bulk is integer arithmetic on 16 bits; only what lies outside (zero,
    subnormal, too large, NaN) goes through float32.
    """
    magnitude = bits & _MAGNITUDE
    outside = magnitude - _BF16_IN_F16_FROM >= _BF16_IN_F16_SPAN  # wraps below
    result = (magnitude << np.uint16(3)) - _BF16_TO_F16_BIAS | (bits & _SIGN)
    numbers = result.view(np.float16)
    if outside.any():
        with np.errstate(over="ignore", invalid="ignore"):
            numbers[outside] = widened(bits[outside], "BF16").astype(np.float16)
    return numbers


def _finite(numbers: Stored) -> bool:
    """Return whether all numbers are finite, by their exponent bits (faster than isfinite)."""
    if numbers.itemsize == 2:
        return bool(np.max(numbers.view(np.uint16) & _MAGNITUDE, initial=0) < _F16_INFINITY)
    return bool(np.max(numbers.view(np.uint32) & np.uint32(0x7FFFFFFF), initial=0) < _F32_INFINITY)


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
