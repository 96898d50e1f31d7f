"""Computes the rows of a merged tensor: what the base has, plus the change, in the type that is written.

A tensor is never whole in memory. It is cut into blocks of rows, and each block is read, changed and written
by itself; only the two factors of the change, which are small, are there for all of it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from typing import TypeAlias

import numpy as np

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.blocks import read_blocks, type_name
from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.ggml_types import nbytes_of
from ollama_pack.gguf.tensor_data import Float32, TensorReader
from ollama_pack.gguf.tensor_rows import Index, read_tensor_rows
from ollama_pack.gguf.tensors import MATRIX_NDIM
from ollama_pack.lora.beside import RowRole, RowValues
from ollama_pack.lora.export_tensor import planned_numbers
from ollama_pack.merge.base_tensor import BaseTensor, tensor_bytes
from ollama_pack.merge.plan import MergedTensor, TensorDelta

BLOCK_NUMBERS = 1 << 19
"""Numbers of a block of rows: 2 MiB as float32, of which a thread holds about five at a time.

The last bit of a product may depend on it, since BLAS sums the rows at the end of a block in another order.
"""

SURELY_HELD = 1 << 14
"""A number below which every type holds all numbers, so that what was written need not be read again."""


@dataclass(frozen=True, slots=True)
class DeltaFactors:
    """The numbers of a change: ``left @ right`` is added to the tensor. The scale is already in `left`.

    Attributes:
        left: float32, rows × rank, or experts × rows × rank.
        right: float32, rank × columns, or experts × rank × columns.
    """

    left: Float32
    right: Float32


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Some rows of one matrix of a tensor.

    Attributes:
        expert: the number of the matrix, or 0 if the tensor is one matrix.
        start: the first row.
        end: the row after the last one.
    """

    expert: int
    start: int
    end: int


def load_factors(change: TensorDelta, weights: TensorReader) -> DeltaFactors:
    """Return the numbers of a change.

    Raises:
        InputError: the adapter cannot be read.
    """
    left, right = planned_numbers(weights, change.left), planned_numbers(weights, change.right)
    if change.lookup:
        right = right.swapaxes(-1, -2)
    return DeltaFactors(left * np.float32(change.scale), np.ascontiguousarray(right))


def row_blocks(tensor: BaseTensor, rows: int = 0) -> Iterator[RowBlock]:
    """Yield the blocks that a tensor is cut into, in the order in which they lie in the file.

    Args:
        tensor: the tensor of the base.
        rows: its number of rows in the merged file; 0 for that of the base. No block has both rows of the
            base and new rows.
    """
    *front, there, columns = tensor.shape if len(tensor.shape) > 1 else (*tensor.shape, 1)
    step = max(BLOCK_NUMBERS // max(columns, 1), 1)
    rows = rows or there
    for expert in range(int(np.prod(front, dtype=np.int64)) if front else 1):
        for first, last in ((0, min(there, rows)), (there, rows)):
            for start in range(first, last, step):
                yield RowBlock(expert, start, min(start + step, last))


Rounding: TypeAlias = Callable[[Bytes, Float32, Float32], Bytes]
"""Function (bytes of the base, numbers of the base, merged numbers) → bytes of the merged rows."""


def merge_block(
    tensor: MergedTensor, factors: DeltaFactors | None, block: RowBlock, file: FileIO, rounding: Rounding
) -> Bytes:
    """Return the bytes of a block of rows of the merged file.

    Args:
        tensor: the tensor, which changes.
        factors: the numbers of its ΔW, or None if it has none.
        block: the rows.
        file: the file of the base; it may be read by several threads at once.
        rounding: makes the bytes.

    Raises:
        InputError: the base ends inside the tensor, or has a number that is not finite.
        UnsupportedError: a merged number is too large for the type that is written.
    """
    raw, numbers, merged, largest = _merged_and_largest(tensor, factors, block, file)
    with np.errstate(over="ignore", invalid="ignore"):  # looked for below, and reported by name
        written = rounding(raw, numbers, merged)
    columns = row_width(tensor.base)
    if largest >= SURELY_HELD and not np.isfinite(read_blocks(written, tensor.kind, columns)).all():
        raise _why_not_mergeable(tensor, numbers, merged)
    return written


def merged_numbers(
    tensor: MergedTensor, factors: DeltaFactors | None, block: RowBlock, file: FileIO
) -> tuple[Bytes, Float32, Float32]:
    """Return a block of rows of the base, as bytes and as numbers, and the merged numbers.

    New rows have no bytes, and their numbers are zeros.

    Raises:
        InputError: the base ends inside the tensor, or has a number that is not finite.
        UnsupportedError: a merged number is too large for float32.
    """
    return _merged_and_largest(tensor, factors, block, file)[:3]


def _merged_and_largest(
    tensor: MergedTensor, factors: DeltaFactors | None, block: RowBlock, file: FileIO
) -> tuple[Bytes, Float32, Float32, float]:
    """Return what `merged_numbers` returns, and an upper bound of the absolute merged numbers.

    If the bound is not below `SURELY_HELD`, it is exact: the largest absolute number.
    """
    raw = read_rows(tensor.base, block, file)
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = read_blocks(raw, tensor.base.kind, row_width(tensor.base))
        if not raw.size:  # the base has no such rows
            numbers = np.zeros((block.end - block.start, row_width(tensor.base)), np.float32)
        merged = changed_rows(tensor, numbers, factors, block)
        largest = math.sqrt(np.vdot(merged, merged))  # no number is larger than all of them together
        if not largest < SURELY_HELD:
            largest = float(np.maximum(merged.max(initial=0), -merged.min(initial=0)))  # NaN if one is
    if not np.isfinite(largest):
        raise _why_not_mergeable(tensor, numbers, merged)
    return raw, numbers, merged, largest


def changed_rows(
    tensor: MergedTensor, numbers: Float32, factors: DeltaFactors | None, block: RowBlock
) -> Float32:
    """Return rows of the base with everything that was trained, applied in the order in which PEFT merges."""
    by_role = {role: [values for values in tensor.beside if values.role is role] for role in RowRole}
    merged = numbers  # some types are read as a view of the bytes, which must not be written to
    for values in by_role[RowRole.REPLACE]:
        there, given = given_rows(values, block)
        merged = np.array(merged)
        merged[there] = given
    if factors is not None:
        left, right = factors.left, factors.right
        if left.ndim > 2:
            left, right = left[block.expert], right[block.expert]
        change = left[block.start : block.end] @ right
        change += merged
        merged = change
    for values in by_role[RowRole.LENGTH]:
        there, given = given_rows(values, block)
        merged[there] *= given / np.linalg.norm(merged[there], axis=1, keepdims=True)
    for values in by_role[RowRole.ADD]:
        there, given = given_rows(values, block)
        merged = np.array(merged)
        merged[there] += given
    return merged


def given_rows(values: RowValues, block: RowBlock) -> tuple[Index, Float32]:
    """Return which rows of a block get numbers, and the numbers.

    Raises:
        InputError: the adapter cannot be read.
    """
    rows = values.rows[block.start : block.end]
    there = np.flatnonzero(rows >= 0)
    given = read_tensor_rows(values.source, rows[there])
    if values.columns is not None:
        given = given[:, values.columns]
    return there, given * np.float32(values.factor) + np.float32(values.offset)


def row_width(base: BaseTensor) -> int:
    """Return the length of a row; each number of a vector is a row."""
    return base.shape[-1] if len(base.shape) > 1 else 1


def read_rows(base: BaseTensor, block: RowBlock, file: FileIO) -> Bytes:
    """Return the bytes of a block of rows of the base; new rows have none.

    Raises:
        InputError: the file ends inside the tensor, or cannot be read.
    """
    if len(base.shape) <= MATRIX_NDIM and block.start >= base.shape[0]:
        return np.empty(0, np.uint8)
    size = nbytes_of(base.kind, (row_width(base),))
    first = block.start + (block.expert * base.shape[-2] if len(base.shape) > 1 else 0)
    return np.frombuffer(tensor_bytes(base, file, first * size, (block.end - block.start) * size), np.uint8)


def _why_not_mergeable(
    tensor: MergedTensor, numbers: Float32, merged: Float32
) -> InputError | UnsupportedError:
    """Return the error for a block that is not finite: the base is damaged, or the type is too small."""
    where = f"{tensor.base.path}: {tensor.base.name}"
    if not np.isfinite(numbers).all():
        return InputError(
            "The base has weights that are NaN or infinite.", where=where, hint="download the base again"
        )
    largest = float(np.abs(merged).max())
    return UnsupportedError(
        f"A merged weight of {largest:g} is beyond {type_name(tensor.kind)}.",
        where=where,
        hint="--merge-type f32",
        code="too-large",
    )
