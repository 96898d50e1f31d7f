"""Chooses how the merged numbers of a tensor are rounded to the type that they are written in."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from typing import TypeVar

from ollama_pack.gguf.blocks import can_write_blocks
from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.ggml_blocks import BlockWriter
from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.merge.plan import MergedTensor
from ollama_pack.merge.rows import DeltaFactors, Rounding, RowBlock, merged_numbers, row_blocks
from ollama_pack.merge.threshold import CodeMoves, measure_moves, move_codes

AHEAD = 8
"""Blocks that may be computed and not written yet, for all threads together."""

Result = TypeVar("Result")


def rounding_of(
    tensor: MergedTensor,
    factors: DeltaFactors | None,
    file: FileIO,
    pool: ThreadPoolExecutor,
    blocks: BlockWriter,
) -> Rounding:
    """Return what makes the bytes of a tensor: to the nearest number of its type, or by a threshold.

    A tensor that stays in a type of few bits is read once more for it, before it is written. If its change is
    too large for the scales that it has, it gets new ones.

    Raises:
        InputError: the base ends inside the tensor, or has a number that is not finite.
        UnsupportedError: a merged number is beyond float32.
    """

    def measure(block: RowBlock) -> CodeMoves:
        raw, numbers, merged = merged_numbers(tensor, factors, block, file)
        return measure_moves(raw, tensor.kind, merged - numbers) if raw.size else CodeMoves()

    moves = CodeMoves()
    if tensor.keeps_scales:
        for found in in_order(pool.submit(measure, block) for block in row_blocks(tensor.base, tensor.rows)):
            moves.join(found)
    return rounding_from(tensor, moves, blocks)


def rounding_from(tensor: MergedTensor, moves: CodeMoves, blocks: BlockWriter) -> Rounding:
    """Return what makes the bytes of a tensor, when the moves of its codes are known."""

    def to_nearest(_raw: Bytes, _numbers: Float32, merged: Float32) -> Bytes:
        return blocks.write(merged, tensor.kind)

    if not tensor.keeps_scales or (moves.is_beyond and can_write_blocks(tensor.kind)):
        return to_nearest
    threshold = moves.threshold()

    def by_threshold(raw: Bytes, numbers: Float32, merged: Float32) -> Bytes:
        if not raw.size:  # rows that the base has not
            return blocks.write(merged, tensor.kind)
        return move_codes(raw, tensor.kind, merged - numbers, threshold)

    return by_threshold


def in_order(jobs: Iterable["Future[Result]"]) -> Iterator[Result]:
    """Yield the results of jobs in their order; at most `AHEAD` of them are waiting."""
    waiting: deque[Future[Result]] = deque()
    for job in jobs:
        waiting.append(job)
        if len(waiting) >= AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
