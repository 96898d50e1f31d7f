"""Tensors whose shape is known and whose numbers are read, or computed, when they are needed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

MATRIX_NDIM = 2
"""Dimensions of a linear weight; that of experts has one more."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor lying in a file, not read yet.

    Attributes:
        path: the file.
        name: its name inside the file.
        dtype: ``F32``, ``F16`` or ``BF16``; ``Q8_0`` in a GGUF file.
        shape: rows first.
        offset: of its first byte in the file.
        nbytes: its size in bytes.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class LazyTensor:
    """A tensor made from others when it is needed: a product, a slice, a stack.

    Attributes:
        path: the file its numbers come from, the first one where there are several.
        name: of the tensor it is made from, the first one where there are several.
        shape: rows first.
        inputs: what it is made from; empty where `make` has the numbers itself.
        compute: called with the numbers of each part, float32 in its shape; returns float32 in `shape`.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    inputs: "tuple[Tensor, ...]"
    compute: Callable[..., Any]


Tensor: TypeAlias = StoredTensor | LazyTensor
"""A tensor whose shape is known and whose numbers can be had."""


def leaves(tensor: Tensor) -> Iterator[Tensor]:
    """Yield the tensors another one is made from, itself where it is made from none."""
    if isinstance(tensor, StoredTensor) or not tensor.inputs:
        yield tensor
    else:
        for part in tensor.inputs:
            yield from leaves(part)
