"""Tensors whose shape is known, and whose numbers are read or computed when they are needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

MATRIX_NDIM = 2
"""Dimensions of a linear weight; that of experts has one more."""


class StoredTensor(NamedTuple):
    """A tensor that lies in a file and is not read yet; adapters have tens of thousands of them.

    Attributes:
        path: the file.
        name: the name of the tensor inside the file.
        dtype: ``F32``, ``F16`` or ``BF16``; ``Q8_0`` in a GGUF file, or another dtype of safetensors.
        shape: the extents, rows first.
        offset: the place of its first byte in the file.
        nbytes: its size in bytes.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class LazyTensor(NamedTuple):
    """A tensor made from others when it is needed: a product, a slice, a stack.

    Attributes:
        path: the file its numbers come from, or the first of several files.
        name: the name of the tensor it is made from, or of the first of several.
        shape: the extents, rows first.
        inputs: the tensors it is made from; there are none if `compute` has the numbers itself.
        compute: the function that is called with the numbers of each input, as float32 in their shapes;
            it returns float32 in `shape`.
        moves_only: whether `compute` moves numbers and adds zeros, and does no arithmetic. Then it is
            called with the numbers as they are stored, whatever their dtype, and returns that dtype.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    inputs: "tuple[Tensor, ...]"
    compute: Callable[..., Any]
    moves_only: bool = False


Tensor: TypeAlias = StoredTensor | LazyTensor
"""A tensor whose shape is known and whose numbers can be had."""


def leaves(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors that another one is made from, or the tensor itself if it has no inputs."""
    if isinstance(tensor, StoredTensor) or not tensor.inputs:
        return (tensor,)
    return tuple(leaf for part in tensor.inputs for leaf in leaves(part))
