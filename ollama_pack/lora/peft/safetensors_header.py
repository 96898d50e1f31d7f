"""Read the header of a safetensors file: where each tensor lies.

The format is one little-endian u64 (size of the header), a JSON object, then the data; see the format section
of the safetensors documentation. Nothing of the data is read here, and nothing the header claims is believed
before it is checked against the file, twice: by the parser of the safetensors library, which has the last
word on what the format allows, and here, where an error names the tensor and what to do.
"""

import math
import operator
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import LFS_START, refuse_pointer
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.gguf.tensors import StoredTensor
from ollama_pack.shown import reason_of

FACTOR_DTYPES = frozenset({"F64", "F32", "F16", "BF16"})
"""The dtypes that a LoRA is stored in."""

ITEM_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "C64": 8,
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8,
    "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
}  # fmt: skip
"""Bytes per element. A frozen copy of a base may be of any dtype, and some methods store indices."""

PARTIAL_DTYPES = frozenset({"F4", "F6_E2M3", "F6_E3M2"})
"""Further dtypes of the format, whose elements have less than a byte; no tensor of an adapter has these."""

LARGEST_SAFETENSORS_HEADER = 100_000_000
"""The bound of the reference implementation, in bytes."""

MOST_DIMENSIONS = 8
"""Most dimensions of a tensor. No weight has more, and a hostile header could cost time with a longer
shape."""


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return every tensor of a safetensors file by name, ordered as in its header.

    Raises:
        InputError: the file is missing, cut short, or its header does not fit it.
        UnsupportedError: the elements of a tensor have less than a byte.
    """
    # The library goes first, because both hold the header in memory. Its error comes last: ours say more.
    refusal = _library_refusal(path)
    text, size = _read_header(path)
    header = _parse(text, path)
    header.pop("__metadata__", None)
    data_start = 8 + len(text)
    tensors = {name: _tensor(path, name, entry, data_start) for name, entry in header.items()}
    _check_layout(tensors.values(), path, data_start, size)
    if refusal is not None:
        raise InputError(
            f"The safetensors library refuses the file ({refusal}).", where=path, hint=_RECOVER
        ) from refusal
    return tensors


def _library_refusal(path: Path) -> Exception | None:
    """Return why the safetensors library refuses the header of a file, or None if it accepts it."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.is_file():  # it would wait for a pipe without end
            with safe_open(path, framework="numpy"):
                pass
    except (SafetensorError, OSError) as error:
        return error
    return None


def _read_header(path: Path) -> tuple[bytes, int]:
    """Return the JSON of the header, and the size of the file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            why = "Is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
            raise InputError(f"Cannot read the file: {why}.", where=path)
        size = status.st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            length = int.from_bytes(prefix, "little")
            if len(prefix) < 8:
                raise InputError(
                    f"The file ends after {size} bytes, inside its header.", where=path, hint=_RECOVER
                )
            if prefix == LFS_START[:8]:
                refuse_pointer(path, prefix + file.read(64))
            if length > min(size - 8, LARGEST_SAFETENSORS_HEADER):
                raise InputError(
                    f"The header claims {length} bytes of {size}: the file is cut short, or not safetensors.",
                    where=path,
                    hint=_RECOVER,
                )
            return file.read(length), size
    except OSError as error:
        raise InputError(f"Cannot read the weights: {error.strerror}.", where=path) from error


_RECOVER = "copy the file again from where it was trained, and compare the sizes"


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    """Return the header, in which no name occurs twice."""
    try:
        header = parse_json(text, unique=True)
    except ValueError as error:
        raise InputError(
            f"The header is not JSON ({reason_of(error)}).", where=path, hint=_RECOVER
        ) from error
    if not isinstance(header, dict):
        raise InputError("The header is not a JSON object.", where=path, hint=_RECOVER)
    return header


def _tensor(path: Path, name: str, entry: Any, data_start: int) -> StoredTensor:  # noqa: ANN401 — unchecked JSON
    """Return a tensor whose entry makes sense by itself; whether it fits the file is checked later."""
    dtype, shape, begin, end = _fields(entry, path, name)
    if len(shape) > MOST_DIMENSIONS or [
        extent for extent in shape if type(extent) is not int or not 0 <= extent < 2**40
    ]:
        raise _entry_error(f"The shape is not a list of at most {MOST_DIMENSIONS} sizes.", path, name)
    item_size = ITEM_SIZES.get(dtype)
    if item_size is None and dtype in PARTIAL_DTYPES:
        raise dtype_error(path, name, dtype)
    if item_size is None:
        raise _entry_error(f"The dtype {dtype!r} is unknown.", path, name)
    nbytes = math.prod(shape) * item_size
    if not 0 <= begin <= end or end - begin != nbytes:
        fault = f"Offsets {begin}–{end} do not hold {dtype} {shape} ({nbytes} bytes)."
        raise _entry_error(fault, path, name)
    return StoredTensor(path, name, dtype, tuple(shape), data_start + begin, nbytes)


def dtype_error(path: Path, name: str, dtype: str) -> UnsupportedError:
    """Return the error for a factor that is stored in a dtype that no LoRA is stored in."""
    return UnsupportedError(
        f"The tensor is stored as {dtype}; LoRA weights are F64, F32, F16 or BF16.",
        where=f"{path}: {name}",
        hint="save the adapter in one of these dtypes, then build again",
    )


def _fields(entry: Any, path: Path, name: str) -> tuple[str, list[Any], int, int]:  # noqa: ANN401
    """Return dtype, shape, begin and end of an entry, which has all of them, and of their types."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if type(dtype) is str and type(shape) is list and type(begin) is int and type(end) is int:
            return dtype, shape, begin, end
    except (KeyError, TypeError, ValueError):
        pass
    raise _entry_error("The header entry lacks dtype, shape or data_offsets.", path, name)


def _entry_error(fault: str, path: Path, name: str) -> InputError:
    """Return the error for a tensor whose entry is damaged."""
    return InputError(fault, where=f"{path}: {name}", hint=_RECOVER)


def _check_layout(tensors: Collection[StoredTensor], path: Path, data_start: int, size: int) -> None:
    """Require the tensors to cover the data exactly: no overlap, no hole, no byte missing or left."""
    position = data_start
    for tensor in sorted(tensors, key=_BY_PLACE):
        end = tensor.offset + tensor.nbytes
        if end > size:
            raise _entry_error(f"The file is cut short: {end - size} bytes are missing.", path, tensor.name)
        if tensor.offset != position:
            fault = "overlaps another tensor" if tensor.offset < position else "leaves a hole before it"
            raise _entry_error(f"The tensor {fault}.", path, tensor.name)
        position = end
    if position != size:
        raise InputError(f"{size - position} bytes follow the last tensor.", where=path, hint=_RECOVER)


_BY_PLACE = operator.attrgetter("offset", "nbytes")
