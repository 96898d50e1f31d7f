"""Turns the blocks of any ggml type into float32, and float32 into blocks of the types that merging writes.

The gguf library knows how every type is read, and how the older ones are written. The types of most
models are read by code of our own, which gives the same bits and is faster. Types that are not quantised, and
Q8_0, are read by the code that reads adapters.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.code_layouts import CODE_LAYOUTS, Bytes, numbers_of
from ollama_pack.gguf.ggml_types import BF16, BLOCKS, F16, F32, Q8_0, TENSOR_TYPES, nbytes_of
from ollama_pack.gguf.quants import cast_float32
from ollama_pack.gguf.tensor_data import Q8_STORAGE, STORAGE, Float32, from_q8, to_float32

PLAIN = {F32: "F32", F16: "F16", BF16: "BF16"}
"""The ggml types that are not quantised, each with its name in `STORAGE`."""

_LIBRARY_WRITES = {2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", Q8_0: "Q8_0"}
"""The quantised ggml types that the gguf library can write."""


def type_name(kind: int) -> str:
    """Return the usual name of a ggml type, ``Q4_K``, or ``type 99`` if the gguf library does not know it."""
    import gguf

    try:
        return gguf.GGMLQuantizationType(kind).name
    except ValueError:
        return f"type {kind}"


def can_read_blocks(kind: int) -> bool:
    """Return whether `read_blocks` reads a ggml type."""
    import gguf

    return kind in BLOCKS and (kind in PLAIN or kind in gguf.quants._type_traits)


def can_write_blocks(kind: int) -> bool:
    """Return whether `write_blocks` writes a ggml type."""
    return kind in PLAIN or kind in _LIBRARY_WRITES


def read_blocks(raw: Bytes, kind: int, columns: int) -> Float32:
    """Return the numbers of whole rows, as float32, rows × columns; exact for types that are not quantised.

    Args:
        raw: the bytes of the rows, as they lie in a GGUF file; there may be none.
        kind: the ggml type.
        columns: the number of columns, a multiple of the type's block.
    """
    if not raw.size:
        return np.empty((0, columns), np.float32)
    rows = raw.reshape(-1, nbytes_of(kind, (columns,)))
    if kind in PLAIN:
        return to_float32(rows.view(STORAGE[PLAIN[kind]]), PLAIN[kind])
    if kind == Q8_0:
        return from_q8(rows.view(Q8_STORAGE)).reshape(-1, columns)
    if kind in CODE_LAYOUTS:
        return numbers_of(raw.reshape(-1, BLOCKS[kind][1]), CODE_LAYOUTS[kind]).reshape(-1, columns)
    return read_by_library(raw, kind, columns)


def read_by_library(raw: Bytes, kind: int, columns: int) -> Float32:
    """Return the numbers of whole rows as the gguf library reads them: the witness of `read_blocks`."""
    import gguf

    rows = raw.reshape(-1, nbytes_of(kind, (columns,)))
    numbers: Float32 = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType(kind))
    return numbers.reshape(-1, columns)


def write_blocks(numbers: Float32, kind: int) -> Bytes:
    """Return the bytes of whole rows in a ggml type that `can_write_blocks` allows.

    What is too large for float16 or bfloat16 becomes infinite, as in `cast_float32`; the caller looks for it.
    """
    if kind in TENSOR_TYPES:
        return _bytes_of(cast_float32(numbers, TENSOR_TYPES[kind].lower()))
    import gguf

    return _bytes_of(gguf.quants.quantize(np.ascontiguousarray(numbers), gguf.GGMLQuantizationType(kind)))


def _bytes_of(numbers: npt.NDArray[Any]) -> Bytes:
    """Return an array as its bytes, flat."""
    return np.ascontiguousarray(numbers).reshape(-1).view(np.uint8)
