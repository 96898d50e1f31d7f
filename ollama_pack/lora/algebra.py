"""Tensors made from tensors: the algebra of low-rank factors.

Nothing is computed here: each function returns a `LazyTensor` that knows its shape, and how to make its
numbers when it is read. If numbers are multiplied, each result is one float32 product; if they are only
moved, they keep the dtype they are stored in (`moved`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from ollama_pack.gguf.tensor_data import Float32, Stored
from ollama_pack.gguf.tensors import LazyTensor, Tensor


def lazy(shape: Sequence[int], parts: Sequence[Tensor], make: Callable[..., Float32]) -> LazyTensor:
    """Return a tensor of a shape that `make` computes from the float32 numbers of the parts."""
    return LazyTensor(parts[0].path, parts[0].name, tuple(shape), tuple(parts), make)


def moved(shape: Sequence[int], parts: Sequence[Tensor], make: Callable[..., Stored]) -> LazyTensor:
    """Return a tensor of a shape that `make` fills with numbers of the parts, unchanged, and with zeros."""
    return LazyTensor(parts[0].path, parts[0].name, tuple(shape), tuple(parts), make, moves_only=True)


def transpose(tensor: Tensor) -> LazyTensor:
    """Return a tensor with its last two dimensions swapped."""
    *front, rows, columns = tensor.shape
    return moved((*front, columns, rows), (tensor,), lambda numbers: np.swapaxes(numbers, -1, -2))


def reshape(tensor: Tensor, shape: Sequence[int]) -> LazyTensor:
    """Return the same numbers in another shape."""
    return moved(shape, (tensor,), lambda numbers: numbers.reshape(shape))


def first_rows_columns(tensor: Tensor, rows: int, columns: int) -> LazyTensor:
    """Return the first rows and columns of a matrix."""
    return moved((rows, columns), (tensor,), lambda numbers: numbers[:rows, :columns])


def row_range(tensor: Tensor, start: int, rows: int) -> LazyTensor:
    """Return `rows` consecutive rows of a matrix."""
    return moved((rows, tensor.shape[-1]), (tensor,), lambda numbers: numbers[start : start + rows])


def scale_rows_by_tensor(tensor: Tensor, vector: Tensor) -> LazyTensor:
    """Return a matrix with each row multiplied by one number of a vector (n, or n × 1)."""
    return lazy(tensor.shape, (tensor, vector), lambda numbers, by: numbers * by.reshape(-1, 1))


def take_columns(tensor: Tensor, order: Sequence[int]) -> LazyTensor:
    """Return a tensor whose column j is column ``order[j]`` of another, in each matrix."""
    index = np.asarray(order, np.intp)
    return moved((*tensor.shape[:-1], len(order)), (tensor,), lambda numbers: numbers[..., index])


def embed_rows(tensor: Tensor, order: Sequence[int] | None, start: int, rows: int) -> LazyTensor:
    """Return a tensor with `rows` rows: from `start` on those of another tensor in an order, else zeros."""
    *front, given, columns = tensor.shape
    index = np.arange(given) if order is None else np.asarray(order, np.intp)

    def make(numbers: Stored) -> Stored:
        placed = np.zeros((*front, rows, columns), numbers.dtype)
        placed[..., start : start + len(index), :] = numbers[..., index, :]
        return placed

    return moved((*front, rows, columns), (tensor,), make)


def scale_rows(tensor: Tensor, by: Sequence[float]) -> LazyTensor:
    """Return a tensor with each of its rows multiplied by a number of its own."""
    column = np.asarray(by, np.float32)[:, None]
    return lazy(tensor.shape, (tensor,), lambda numbers: numbers * column)


def scale_by(tensor: Tensor, factor: float) -> Tensor:
    """Return a tensor multiplied by a number; a factor of 1 returns the tensor itself."""
    if factor == 1.0:
        return tensor
    return lazy(tensor.shape, (tensor,), lambda numbers: numbers * np.float32(factor))


def rows_crossed(left: Tensor, right: Tensor) -> LazyTensor:
    """Return n × (p·q), whose row i is the Kronecker product of the rows i of n × p and n × q."""
    (n, p), (_, q) = left.shape, right.shape
    return lazy(
        (n, p * q),
        (left, right),
        lambda a, b: np.einsum("np,nq->npq", a, b, optimize=False).reshape(n, p * q),
    )


def columns_crossed(left: Tensor, right: Tensor) -> LazyTensor:
    """Return (p·q) × n, whose column i is the Kronecker product of the columns i of p × n and q × n."""
    (p, n), (q, _) = left.shape, right.shape
    return lazy(
        (p * q, n),
        (left, right),
        lambda a, b: np.einsum("pn,qn->pqn", a, b, optimize=False).reshape(p * q, n),
    )


def kronecker(left: Tensor | int, right: Tensor | int) -> LazyTensor:
    """Return the Kronecker product of two matrices; a number stands for the identity of that size."""
    shapes = [(side, side) if isinstance(side, int) else side.shape for side in (left, right)]
    parts = [side for side in (left, right) if not isinstance(side, int)]

    def make(*numbers: Float32) -> Float32:
        left_to_right = iter(numbers)
        sides = [
            np.eye(side, dtype=np.float32) if isinstance(side, int) else next(left_to_right)
            for side in (left, right)
        ]
        return np.kron(*sides)

    return lazy([a * b for a, b in zip(*shapes, strict=True)], parts, make)


def expert_a(tensor: Tensor, experts: int) -> LazyTensor:
    """Return experts × rank × in from PEFT's (experts · rank) × in, where the rank varies fastest."""
    rows, columns = tensor.shape
    return reshape(tensor, (experts, rows // experts, columns))


def expert_b(tensor: Tensor, experts: int) -> LazyTensor:
    """Return experts × out × rank from PEFT's out × (rank · experts), where the expert varies fastest.

    (``ParamWrapper.get_delta_weight`` in PEFT, its einsum "o r e".)
    """
    out, columns = tensor.shape
    rank = columns // experts
    return moved(
        (experts, out, rank),
        (tensor,),
        lambda numbers: numbers.reshape(out, rank, experts).transpose(2, 0, 1),
    )


def concatenate(tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Return the concatenation of tensors along an axis, which is counted from the end."""
    if len(tensors) == 1:
        return tensors[0]
    shape = list(tensors[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return moved(shape, tensors, lambda *numbers: np.concatenate(numbers, axis))


def stack_padded(tensors: Sequence[Tensor | None], shape: tuple[int, int]) -> LazyTensor:
    """Return len(tensors) × shape: matrices of at most that shape, padded with zeros; None is all zeros."""
    present = [tensor for tensor in tensors if tensor is not None]

    def make(*numbers: Stored) -> Stored:
        stack = np.zeros((len(tensors), *shape), numbers[0].dtype)
        in_order = iter(numbers)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                matrix = next(in_order)
                stack[place, : matrix.shape[0], : matrix.shape[1]] = matrix
        return stack

    return moved((len(tensors), *shape), present, make)
