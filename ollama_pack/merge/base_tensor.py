"""The tensors of a base that is merged into, where they lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.errors import UnsupportedError
from ollama_pack.gguf.ggml_types import BLOCKS, nbytes_of
from ollama_pack.gguf.reader import GgufFile


@dataclass(frozen=True, slots=True)
class BaseTensor:
    """A tensor of the base, where it lies.

    Attributes:
        path: the file, or the part of a split model.
        name: its name.
        shape: the extents, rows first.
        kind: its ggml type.
        offset: the place of its first byte in the file.
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
    """Yield the tensors of a base, or of a part of it, in the order of its header."""
    for name, shape in part.shapes.items():
        kind = part.types[name]
        if kind not in BLOCKS:
            raise UnsupportedError(
                f"The tensor has the ggml type {kind}, whose size is not known here.",
                where=f"{part.path}: {name}",
                hint="--base with another quantisation of the model",
                code="unknown-type",
            )
        yield BaseTensor(part.path, name, shape, kind, part.offsets[name])
