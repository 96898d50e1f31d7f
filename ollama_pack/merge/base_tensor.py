"""Where the tensors of a base lie in its files, and how their bytes are read."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.ggml_types import BLOCKS, nbytes_of
from ollama_pack.gguf.reader import GgufFile


@dataclass(frozen=True, slots=True)
class BaseTensor:
    """A tensor of the base, and where its bytes are.

    Attributes:
        path: the file, or the part of a split model.
        name: its name.
        shape: the extents, rows first.
        kind: its ggml type.
        offset: the position of its first byte in the file.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def nbytes(self) -> int:
        """Return its size in bytes."""
        return nbytes_of(self.kind, self.shape)


def tensors_of_base(part: GgufFile) -> Iterator[BaseTensor]:
    """Yield the tensors of a base, or of a part of it, in the order of its header.

    Raises:
        UnsupportedError: a tensor has a ggml type whose size is unknown.
    """
    for name, shape in part.shapes.items():
        kind = part.types[name]
        if kind not in BLOCKS:
            raise UnsupportedError(
                f"ollama-pack does not know the size of a tensor of the ggml type {kind}.",
                where=f"{part.path}: {name}",
                hint="--base with another quantisation of the model",
                code="unknown-type",
            )
        yield BaseTensor(part.path, name, shape, kind, part.offsets[name])


def tensor_bytes(base: BaseTensor, file: FileIO, first: int, count: int) -> bytes:
    """Return bytes of a tensor of the base; several threads may read at once.

    Args:
        base: the tensor.
        file: the file that it lies in.
        first: the position of the first byte, from the beginning of the tensor.
        count: the number of bytes.

    Raises:
        InputError: the file ends inside the tensor, or cannot be read.
    """
    try:
        raw = _read_at(file, count, base.offset + first)
    except OSError as error:
        raise InputError(f"Cannot read: {error.strerror}.", where=f"{base.path}: {base.name}") from error
    if len(raw) != count:
        raise InputError("The file ends inside the tensor.", where=f"{base.path}: {base.name}")
    return raw


def _read_at(file: FileIO, count: int, offset: int) -> bytes:
    """Return up to `count` bytes from `offset` on."""
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), count, offset)
    with open(file.name, "rb", buffering=0) as own:  # noqa: PTH123 — Windows has no pread
        own.seek(offset)
        return own.read(count)
