"""Reads importance matrices: which columns of a weight matter, as llama.cpp's imatrix program writes them."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ollama_pack.disk.files import regular_file
from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import MAGIC
from ollama_pack.gguf.ggml_types import F32, nbytes_of
from ollama_pack.gguf.reader import read_gguf

_SUMS, _COUNTS = ".in_sum2", ".counts"
_LONGEST_NAME, _MOST_VALUES, _MOST_ENTRIES = 1024, 1 << 28, 1 << 20
_HINT = "--imatrix with a file that llama.cpp's imatrix program wrote"

Values = npt.NDArray[np.float32]


def read_imatrix(path: Path) -> dict[str, Values]:
    """Return the mean square of the inputs of each weight, by the name of the weight.

    Args:
        path: the file, in the GGUF format or in the older one.

    Raises:
        InputError: the file cannot be read, or is not an importance matrix.
    """
    try:
        with regular_file(path) as file:
            if file.read(4) == MAGIC:
                found = dict(_from_gguf(path, file))
            else:
                file.seek(0)
                found = dict(_from_older(path, file))
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error
    if not found or not all(np.isfinite(values).all() for values in found.values()):
        raise _no_imatrix(path, "it has no values" if not found else "a value is not finite")
    return found


def _from_gguf(path: Path, file: BinaryIO) -> Iterator[tuple[str, Values]]:
    """Yield the values of a GGUF file: sums of squares for each matrix of a weight, over their counts."""
    header = read_gguf(path)

    def numbers(name: str) -> Values:
        if header.types[name] != F32:
            raise _no_imatrix(path, f"{name} is not F32")
        file.seek(header.offsets[name])
        return _floats(path, file, nbytes_of(F32, header.shapes[name]) // 4)

    for name in header.shapes:
        weight = name.removesuffix(_SUMS)
        if weight == name:
            continue
        if weight + _COUNTS not in header.shapes:
            raise _no_imatrix(path, f"{weight}{_COUNTS} is missing")
        counts = numbers(weight + _COUNTS)
        sums = numbers(name)
        if not counts.size or sums.size % counts.size:
            raise _no_imatrix(path, f"{name} does not fit its counts")
        means = sums.reshape(counts.size, -1) / np.maximum(counts, np.float32(1))[:, None]
        yield weight, means.reshape(-1).astype(np.float32, copy=False)


def _from_older(path: Path, file: BinaryIO) -> Iterator[tuple[str, Values]]:
    """Yield the values of a file in the older format."""
    entries = _next_integer(path, file, _MOST_ENTRIES)
    for _ in range(entries):
        length = _next_integer(path, file, _LONGEST_NAME)
        name = file.read(length).decode("utf-8", "replace")
        calls, count = _next_integer(path, file, 2**31), _next_integer(path, file, _MOST_VALUES)
        yield name, _floats(path, file, count) / np.float32(max(calls, 1))


def _next_integer(path: Path, file: BinaryIO, most: int) -> int:
    """Return the next integer, which is at least 0."""
    content = file.read(4)
    number: int = struct.unpack("<i", content)[0] if len(content) == 4 else -1
    if not 0 <= number <= most:
        raise _no_imatrix(path, "its entries do not end where they should")
    return number


def _floats(path: Path, file: BinaryIO, count: int) -> Values:
    """Return the next numbers."""
    content = file.read(4 * count)
    if len(content) != 4 * count:
        raise _no_imatrix(path, "the file ends inside its values")
    return np.frombuffer(content, "<f4").astype(np.float32)


def _no_imatrix(path: Path, why: str) -> InputError:
    """Return the error for a file that is not an importance matrix."""
    return InputError(f"This is not an importance matrix: {why}.", where=path, hint=_HINT, code="damaged")
