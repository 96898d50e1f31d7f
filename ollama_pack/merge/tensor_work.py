"""The work on the tensors that change, cut into blocks of rows that any process can do."""

from collections.abc import Callable, Sequence
from functools import partial
from io import FileIO

from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.ggml_blocks import BlockWriter
from ollama_pack.gguf.tensor_data import TensorReader
from ollama_pack.gguf.tensors import StoredTensor
from ollama_pack.jobs.several_cores import Codec, Job, done_in_order
from ollama_pack.merge.base_tensor import BaseTensor
from ollama_pack.merge.plan import MergedTensor
from ollama_pack.merge.rounding import rounding_from
from ollama_pack.merge.rows import (
    DeltaFactors,
    Rounding,
    RowBlock,
    load_factors,
    merge_block,
    merged_numbers,
    row_blocks,
)
from ollama_pack.merge.threshold import CodeMoves, measure_moves

FACTORS_KEPT = 2
"""How many tensors have their factors in memory: the current one, and the next if a thread has begun it."""

MOVES = Codec(CodeMoves.pack, CodeMoves.unpack)


class TensorWork:
    """The tensors of a plan that change, with what is needed to make blocks of them.

    Args:
        tensors: the tensors.
        file_of: returns the open file that a tensor of the base lies in; it is read by position.
        blocks: writes the blocks of every type.
    """

    def __init__(
        self, tensors: Sequence[MergedTensor], file_of: Callable[[BaseTensor], FileIO], blocks: BlockWriter
    ) -> None:
        self._tensors, self._file_of, self._blocks = tensors, file_of, blocks
        self._factors: dict[int, DeltaFactors | None] = {}
        self._roundings: dict[int, Rounding] = {}

    def choose_roundings(self, helpers: int) -> None:
        """Choose how each tensor is rounded: to the nearest number of its type, or by a threshold.

        A tensor that keeps its quantised type is read once more for this, before it is written. If its
        change is too large for its scales, it gets new scales.

        Raises:
            InputError: the base ends inside a tensor, or has a number that is not finite.
            UnsupportedError: a merged number is too large for float32.
        """
        pieces = [
            (tensor, block)
            for tensor in self._tensors
            if tensor.keeps_scales
            for block in row_blocks(tensor.base, tensor.rows)
        ]
        jobs = [Job(partial(self._moves, tensor, block), can_be_shared(tensor)) for tensor, block in pieces]
        moves = {id(tensor): CodeMoves() for tensor in self._tensors}
        for (tensor, _), found in zip(pieces, done_in_order(jobs, MOVES, helpers), strict=True):
            moves[id(tensor)].join(found)
        self._roundings = {
            id(tensor): rounding_from(tensor, moves[id(tensor)], self._blocks) for tensor in self._tensors
        }

    def merged(self, tensor: MergedTensor, block: RowBlock) -> Bytes:
        """Return the bytes of a block of rows, as `merge_block` makes them."""
        rounding = self._roundings[id(tensor)]
        return merge_block(tensor, self._factors_of(tensor), block, self._file_of(tensor.base), rounding)

    def _moves(self, tensor: MergedTensor, block: RowBlock) -> CodeMoves:
        """Return the sums over the moves of the codes of a block."""
        file = self._file_of(tensor.base)
        raw, numbers, merged = merged_numbers(tensor, self._factors_of(tensor), block, file)
        return measure_moves(raw, tensor.kind, merged - numbers) if raw.size else CodeMoves()

    def _factors_of(self, tensor: MergedTensor) -> DeltaFactors | None:
        """Return the factors of a tensor's change; each process that shares the work loads them itself."""
        if id(tensor) not in self._factors:
            with TensorReader() as weights:
                factors = load_factors(tensor.change, weights) if tensor.change is not None else None
            self._factors = {**dict(list(self._factors.items())[1 - FACTORS_KEPT :]), id(tensor): factors}
            return factors
        return self._factors[id(tensor)]


def can_be_shared(tensor: MergedTensor) -> bool:
    """Return whether another process can work on a tensor; only this process can ask PEFT for rows."""
    return all(isinstance(values.source, StoredTensor) for values in tensor.beside)
