"""READ  the header of a safetensors file → where each tensor lies.

The format is one little-endian u64 (size of the header), a JSON object, then the data; see the
format section of the safetensors documentation. Nothing of the data is read here, and nothing the
header claims is believed before it is checked against the file.
"""

import json
import math
import stat
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.tensors import StoredTensor

ITEM_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
"""Bytes per element of the dtypes a LoRA is stored in."""

OTHER_DTYPES = frozenset(
    {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64",
     "I64", "F64", "C64", "F8_E4M3", "F8_E5M2",
     "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F4", "F6_E2M3", "F6_E3M2"}
)  # fmt: skip
"""What the format also knows; no LoRA is stored in these."""

LARGEST_SAFETENSORS_HEADER = 100_000_000
"""The bound of the reference implementation, in bytes."""

MOST_DIMENSIONS = 8
"""No weight has more; a longer shape would only serve to make us multiply."""


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return every tensor of a safetensors file by name, ordered as in its header.

    Raises:
        InputError: the file is missing, cut short, or its header does not fit it.
        UnsupportedError: a tensor is stored as something other than F32, F16 or BF16.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            why = "Is a directory" if stat.S_ISDIR(status.st_mode) else "it is no file"
            raise InputError(f"Cannot read the file: {why}.", where=path)
        size = status.st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            length = int.from_bytes(prefix, "little")
            if len(prefix) < 8:
                raise InputError(
                    f"The file ends after {size} bytes: not even a header.", where=path, hint=_RECOVER
                )
            if prefix == b"version ":
                raise InputError(
                    "This is a pointer of Git LFS, not the weights.",
                    where=path,
                    hint="git lfs pull, in the clone",
                )
            if length > min(size - 8, LARGEST_SAFETENSORS_HEADER):
                raise InputError(
                    f"The header claims {length} bytes of {size}: the file is cut short, or not safetensors.",
                    where=path,
                    hint=_RECOVER,
                )
            text = file.read(length)
    except OSError as error:
        raise InputError(f"Cannot read the weights: {error.strerror}.", where=path) from error
    header = _parse(text, path)
    header.pop("__metadata__", None)
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_layout(tensors, path, 8 + length, size)
    return tensors


_RECOVER = "copy the file again from where it was trained, and compare the sizes"


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The header is not JSON ({error}).", where=path, hint=_RECOVER) from error
    if not isinstance(header, dict):
        raise InputError("The header is not a JSON object.", where=path, hint=_RECOVER)
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} occurs twice")
    return found


def _tensor(path: Path, name: str, entry: Any, data_start: int) -> StoredTensor:  # noqa: ANN401 — unchecked JSON
    where = f"{path}: {name}"
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise InputError(
                "The header entry lacks dtype, shape or data_offsets.", where=where, hint=_RECOVER
            )
    if len(shape) > MOST_DIMENSIONS or not all(
        type(extent) is int and 0 <= extent < 2**40 for extent in shape
    ):
        raise InputError("The shape is not one.", where=where, hint=_RECOVER)
    if dtype not in ITEM_SIZES:
        if dtype in OTHER_DTYPES:
            raise UnsupportedError(
                f"The tensor is stored as {dtype}; LoRA weights are F32, F16 or BF16.",
                where=where,
                hint="save the adapter in one of these dtypes, then build again",
            )
        raise InputError(f"The dtype {dtype!r} is unknown.", where=where, hint=_RECOVER)
    nbytes = math.prod(shape) * ITEM_SIZES[dtype]
    if not 0 <= begin <= end or end - begin != nbytes:
        raise InputError(
            f"Offsets {begin}–{end} do not hold {dtype} {shape} ({nbytes} bytes).", where=where, hint=_RECOVER
        )
    return StoredTensor(path, name, dtype, tuple(shape), data_start + begin, nbytes)


def _check_layout(tensors: dict[str, StoredTensor], path: Path, data_start: int, size: int) -> None:
    """Require the tensors to cover the data exactly: no overlap, no hole, no byte missing or left."""
    position = data_start
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.offset, tensor.nbytes)):
        where = f"{path}: {tensor.name}"
        if tensor.offset + tensor.nbytes > size:
            missing = tensor.offset + tensor.nbytes - size
            raise InputError(
                f"The file is cut short: {missing} bytes are missing.", where=where, hint=_RECOVER
            )
        if tensor.offset != position:
            fault = "overlaps another tensor" if tensor.offset < position else "leaves a hole before it"
            raise InputError(f"The tensor {fault}.", where=where, hint=_RECOVER)
        position += tensor.nbytes
    if position != size:
        raise InputError(f"{size - position} bytes follow the last tensor.", where=path, hint=_RECOVER)
