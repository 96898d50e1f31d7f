"""Reads the numbers of a tensor from its file, and widens them to float32.

bfloat16 has no numpy dtype: it is the upper half of a float32, so reading it is a shift. Q8_0 is
llama.cpp's: 32 numbers of a row share a float16 scale and are signed bytes in its units.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from io import FileIO
from operator import add
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.errors import InputError
from ollama_pack.gguf.tensors import StoredTensor, Tensor

Float32 = npt.NDArray[np.float32]
Stored = npt.NDArray[Any]
"""Numbers as they lie in a file: float32, float16, or bfloat16 as uint16. Those of Q8_0 are float32."""

Flags = npt.NDArray[np.bool_]

Q8_BLOCK = 32
"""Numbers of a row that share a scale in Q8_0."""

Q8_STORAGE = np.dtype([("scale", "<f2"), ("quants", "i1", (Q8_BLOCK,))])
STORAGE: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
"""How each dtype is held in memory before it is widened."""

CONVERTED: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "BOOL": np.dtype("?"),
    **{f"{sign}{8 * size}": np.dtype(f"<{sign.lower()}{size}") for sign in "IU" for size in (1, 2, 4, 8)},
}  # fmt: skip
"""Dtypes that are float32 once they are read: PEFT rounds float64 likewise, and integers are indices."""

CHUNK_ELEMENTS = 1 << 17
"""Elements that several steps in a row handle at a time, so that they stay in the cache."""


STRETCH_BYTES, STRETCH_SHARE = 4 << 20, 16
"""The most bytes that are read at once for many small tensors, and how many for each byte of theirs."""


def keep_freed_memory() -> None:
    """Let new arrays of up to 30 MiB reuse the memory of freed ones.

    glibc gives a freed block of this size back to the system, and having it again costs a page
    fault every 4 KiB: a fifth of a conversion. glibc raises its threshold to the size of
    the largest block that was freed, so one is made and freed here; it is not touched, so it takes no memory.
    """
    np.empty(30 << 20, np.uint8)


class TensorReader:
    """Files of weights, each opened when it is first read; for one thread at a time."""

    def __init__(self) -> None:
        self._files: dict[Path, FileIO] = {}
        self._stretch = Path(), 0, np.empty(0, np.uint8)

    def __enter__(self) -> "TensorReader":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def read_raw(self, tensor: Tensor) -> tuple[Stored, str]:
        """Return the numbers of a tensor as they are stored, and their dtype.

        What is computed is F32, unless stored numbers of one dtype are only moved.

        Raises:
            InputError: a file ends inside the tensor, or cannot be read.
        """
        if isinstance(tensor, StoredTensor):
            file = self._file(tensor.path)
            return read_stored(file, tensor), "F32" if tensor.dtype in CONVERTED else tensor.dtype
        parts = self.read_all(tensor.inputs)
        dtypes = {dtype for _, dtype in parts}
        if tensor.moves_only and len(dtypes) == 1:
            dtype = "F32" if dtypes == {"Q8_0"} else dtypes.pop()
            return np.asarray(tensor.compute(*(numbers for numbers, _ in parts))).reshape(tensor.shape), dtype
        made = tensor.compute(*(to_float32(*part) for part in parts))
        return np.asarray(made, np.float32).reshape(tensor.shape), "F32"

    def read_all(self, tensors: Sequence[Tensor]) -> list[tuple[Stored, str]]:
        """Return what `read_raw` returns of each tensor; many small ones are read at once, and are read-only.

        Raises:
            InputError: a file ends inside a tensor, or cannot be read.
        """
        if len(tensors) >= STRETCH_SHARE and {*map(type, tensors)} == {StoredTensor}:
            paths, _, dtypes, shapes, offsets, sizes = zip(*tensors, strict=True)
            (path, dtype), end = (paths[0], dtypes[0]), max(map(add, offsets, sizes))
            start, size = min(offsets), end - min(offsets)
            alike = dtype in STORAGE and paths.count(path) == dtypes.count(dtype) == len(tensors)
            if alike and size <= min(STRETCH_BYTES, STRETCH_SHARE * sum(sizes)):
                first, content = self._read_stretch(path, start, end, size // len(tensors))
                if end <= first + content.size:
                    kind, places = STORAGE[dtype], zip(shapes, offsets, strict=True)
                    return [(np.ndarray(shape, kind, content, at - first), dtype) for shape, at in places]
        return [self.read_raw(tensor) for tensor in tensors]

    def _read_stretch(self, path: Path, start: int, end: int, beside: int) -> tuple[int, Stored]:
        """Return where a part of a file starts, and its bytes: those from `start` to `end`, and some beside.

        Between the tensors of a stack of experts lie those of the next stacks, so it is kept. It is shorter
        if the file ends before.
        """
        known, first, content = self._stretch
        if known != path or start < first or first + content.size < end:
            first = max(start - beside, 0)
            content = np.empty(end + beside - first, np.uint8)
            try:
                file = self._file(path)
                file.seek(first)
                content = content[: file.readinto(content.data)]
            except OSError as error:
                raise InputError(f"Cannot read: {error.strerror}.", where=path) from error
            content.setflags(write=False)
            self._stretch = path, first, content
        return first, content

    def _file(self, path: Path) -> FileIO:
        """Return a file of weights, which is opened when it is first read."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = open_weights(path)
        return file

    def float32(self, tensor: Tensor) -> Float32:
        """Return the numbers of a tensor as float32, in its shape. This is exact for every dtype.

        Raises:
            InputError: a file ends inside the tensor, or cannot be read.
        """
        return to_float32(*self.read_raw(tensor))


def open_weights(path: Path) -> FileIO:
    """Return a file of weights, open for unbuffered reading.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        return FileIO(path, "rb")
    except OSError as error:
        raise InputError(f"Cannot read the weights: {error.strerror}.", where=path) from error


def open_unnoticed(path: Path) -> FileIO:
    """Return a file open for unbuffered reading, whose time of access stays as it is.

    To note the time, a read would wait for the journal of the file system, which is busy while another
    thread brings a large file to the disk. Only the owner of a file may ask for that.

    Raises:
        OSError: the file cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        return FileIO(os.open(path, flags | getattr(os, "O_NOATIME", 0)), "rb")
    except PermissionError:
        return FileIO(os.open(path, flags), "rb")


def read_stored(file: FileIO, tensor: StoredTensor) -> Stored:
    """Return a tensor as it is stored (bfloat16 as uint16, Q8_0 and `CONVERTED` as float32), in its shape.

    Raises:
        InputError: the file ends inside the tensor, or cannot be read.
    """
    if tensor.dtype == "Q8_0":
        blocks = np.empty(tensor.nbytes // Q8_STORAGE.itemsize, Q8_STORAGE)
        _fill(file, tensor, blocks)
        return from_q8(blocks).reshape(tensor.shape)
    if tensor.dtype in CONVERTED:
        wide = np.empty(tensor.shape, CONVERTED[tensor.dtype])
        _fill(file, tensor, wide)
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite, and found as that
            return wide.astype(np.float32)
    array = np.empty(tensor.shape, STORAGE[tensor.dtype])
    _fill(file, tensor, array)
    return array


def _fill(file: FileIO, tensor: StoredTensor, array: Stored) -> None:
    """Read the bytes of a tensor into an array; the system may give them in several pieces."""
    try:
        file.seek(tensor.offset)
        done = file.readinto(array.data)
        if done == tensor.nbytes:
            return
        view = array.reshape(-1).view(np.uint8).data
        while done < tensor.nbytes:
            got = file.readinto(view[done:])
            if not got:
                raise InputError(
                    "The file became shorter while it was read.", where=f"{tensor.path}: {tensor.name}"
                )
            done += got
    except OSError as error:
        raise InputError(
            f"Cannot read the tensor: {error.strerror}.", where=f"{tensor.path}: {tensor.name}"
        ) from error


def from_q8(blocks: npt.NDArray[Any]) -> Float32:
    """Return the numbers of Q8_0 blocks (dtype `Q8_STORAGE`), flat; exact."""
    numbers = blocks["quants"].astype(np.float32).reshape(-1)
    numbers *= np.repeat(
        blocks["scale"].astype(np.float32), Q8_BLOCK
    )  # faster than to spread it over short rows
    return numbers


def to_float32(stored: Stored, dtype: str) -> Float32:
    """Return stored numbers as float32; exact for every dtype."""
    if dtype in ("F32", "Q8_0"):
        return stored.astype(np.float32, copy=False)
    wide = np.empty(stored.shape, np.float32)
    into, numbers = wide.reshape(-1), stored.reshape(-1)
    widen = _widen_bf16 if dtype == "BF16" else _widen_f16
    for start in range(0, numbers.size, CHUNK_ELEMENTS):
        widen(numbers[start : start + CHUNK_ELEMENTS], into[start : start + CHUNK_ELEMENTS])
    return wide


def _widen_bf16(stored: Stored, into: Float32) -> None:
    """Bring bfloat16 to float32 by its bits, which become the upper half."""
    bits = into.view(np.uint32)
    np.copyto(bits, stored)
    bits <<= np.uint32(16)


def _widen_f16(stored: Stored, into: Float32) -> None:
    """Bring float16 to float32 by its bits, twice as fast as numpy's cast.

    Sign and fields go to their places in float32; what is missing is the difference of the
    exponents' biases, a factor of 2¹¹², which is exact and brings subnormals along.
    """
    signed = stored.view(np.int16)
    if not all_finite(stored):
        into[:] = stored
        return
    bits = into.view(np.int32)
    np.copyto(bits, signed)  # the sign fills the upper half
    bits <<= np.int32(13)
    bits &= np.int32(-0x70000001)  # of the copies of the sign, the topmost stays
    into *= np.float32(2.0**112)


def all_finite(numbers: Stored) -> bool:
    """Return whether all float16, bfloat16 (as uint16) or float32 numbers are finite.

    Seen as integers, infinity and NaN are the largest: of the signed ones when they are positive,
    of the unsigned ones when they are negative. Two reductions, and no array between.
    """
    signed, unsigned, infinity, sign = _as_integers(numbers)
    return bool(signed.max(initial=0) < infinity and unsigned.max(initial=0) < infinity + sign)


def finite_and_zero(numbers: Stored, starts: npt.NDArray[np.intp]) -> tuple[Flags, Flags]:
    """Return, of each part of a flat array, whether all its numbers are finite, and whether all are zero.

    Args:
        numbers: float16, bfloat16 (as uint16) or float32.
        starts: the index at which each part begins, in ascending order; no part is empty.
    """
    signed, unsigned, infinity, sign = _as_integers(numbers)
    highest, lowest = np.maximum.reduceat(signed, starts), np.maximum.reduceat(unsigned, starts)
    # The largest unsigned of a part of zeros is 0, or the sign alone if one of them is -0.0.
    return (highest < infinity) & (lowest < infinity + sign), (highest <= 0) & (lowest & (sign - 1) == 0)


def _as_integers(numbers: Stored) -> tuple[Stored, Stored, int, int]:
    """Return numbers seen as signed and as unsigned integers, the bits of infinity, and those of the sign."""
    signed, unsigned = (np.int16, np.uint16) if numbers.itemsize == 2 else (np.int32, np.uint32)
    infinity = 0x7F80 if numbers.dtype == np.uint16 else 0x7C00 if numbers.itemsize == 2 else 0x7F800000
    return numbers.view(signed), numbers.view(unsigned), infinity, 1 << (8 * numbers.itemsize - 1)


@lru_cache(maxsize=8)
def as_index(order: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Return a row order as numpy indexes with it; an order is that of many tensors."""
    index = np.array(order, np.intp)
    index.setflags(write=False)
    return index
