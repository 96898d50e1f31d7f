"""The codes of quantised tensors: the small integer of each weight, apart from the scales of its block.

A weight is ``first + step · code``, where `first` and `step` follow from the scales of its block. They are
not computed here from the scales: they are what the reader of the type makes of the codes 0 and 1.
"""

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.blocks import read_blocks
from ollama_pack.gguf.code_layouts import CODE_LAYOUTS, Bytes
from ollama_pack.gguf.ggml_types import BLOCKS
from ollama_pack.gguf.tensor_data import Float32


def codes_of(raw: Bytes, kind: int) -> Bytes:
    """Return the codes of whole rows, one row a block.

    Args:
        raw: the bytes of the rows.
        kind: a ggml type of `CODE_LAYOUTS`.
    """
    return CODE_LAYOUTS[kind].unpack(raw.reshape(-1, BLOCKS[kind][1]))


def with_codes(raw: Bytes, kind: int, codes: "npt.ArrayLike") -> Bytes:
    """Return the bytes of rows with other codes, and the scales that they have.

    Args:
        raw: the bytes of the rows.
        kind: a ggml type of `CODE_LAYOUTS`.
        codes: one row a block, or what numpy spreads to that.
    """
    elements, nbytes = BLOCKS[kind]
    blocks = raw.reshape(-1, nbytes).copy()
    CODE_LAYOUTS[kind].pack(blocks, np.broadcast_to(np.asarray(codes, np.uint8), (len(blocks), elements)))
    return blocks.reshape(-1)


def code_steps(raw: Bytes, kind: int) -> Float32:
    """Return by how much each weight of whole rows changes with its code, one row a block."""
    elements = BLOCKS[kind][0]
    first, second = (read_blocks(with_codes(raw, kind, code), kind, elements) for code in (0, 1))
    return second - first
