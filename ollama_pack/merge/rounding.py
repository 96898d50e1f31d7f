"""Chooses how the merged numbers of a tensor are rounded to the type that they are written in."""

from ollama_pack.gguf.blocks import can_write_blocks
from ollama_pack.gguf.code_layouts import Bytes
from ollama_pack.gguf.ggml_blocks import BlockWriter
from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.merge.plan import MergedTensor
from ollama_pack.merge.rows import Rounding
from ollama_pack.merge.threshold import CodeMoves, move_codes


def rounding_from(tensor: MergedTensor, moves: CodeMoves, blocks: BlockWriter) -> Rounding:
    """Return the function that rounds the rows of a tensor, given the moves of its codes."""

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
