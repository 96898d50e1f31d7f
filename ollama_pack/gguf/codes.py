"""The codes of quantised tensors: the small integer of each weight, apart from the scales of its block.

A weight is ``first + step · code``, where `first` and `step` follow from the scales of its block. They are
not computed here from the scales: they are what the reader of the type makes of the codes 0 and 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.blocks import Bytes, read_blocks
from ollama_pack.gguf.ggml_types import BLOCKS
from ollama_pack.gguf.tensor_data import Float32

_LOW, _HALF, _FIFTH_BIT, _TWO_BITS = np.uint8(15), np.uint8(4), np.uint8(1), np.uint8(3)


@dataclass(frozen=True, slots=True)
class CodeLayout:
    """Where the codes of a type lie in a block.

    Attributes:
        largest: the largest code; the smallest is 0.
        unpack: blocks → codes, both with one row a block.
        pack: writes codes into blocks, in place.
    """

    largest: int
    unpack: Callable[[Bytes], Bytes]
    pack: Callable[[Bytes, Bytes], None]


def _halves(packed: Bytes) -> Bytes:
    """Return low nibbles, then high nibbles, of the last axis."""
    return np.concatenate([packed & _LOW, packed >> _HALF], axis=-1)


def _nibbles(codes: Bytes) -> Bytes:
    """Return bytes whose low nibbles are the first half of the last axis, and the high ones the second."""
    half = codes.shape[-1] // 2
    packed: Bytes = (codes[..., :half] & _LOW) | ((codes[..., half:] & _LOW) << _HALF)
    return packed


def _small(at: int, fifth: int | None) -> CodeLayout:
    """Return the layout of a type of 32 weights: nibbles behind `at`, fifth bits in four bytes."""

    def unpack(blocks: Bytes) -> Bytes:
        codes = _halves(blocks[:, at : at + 16])
        if fifth is not None:
            codes |= np.unpackbits(blocks[:, fifth : fifth + 4], axis=1, bitorder="little") << _HALF
        return codes

    def pack(blocks: Bytes, codes: Bytes) -> None:
        blocks[:, at : at + 16] = _nibbles(codes)
        if fifth is not None:
            blocks[:, fifth : fifth + 4] = np.packbits(codes >> _HALF, axis=1, bitorder="little")

    return CodeLayout(15 if fifth is None else 31, unpack, pack)


def _unpack_q4_k(blocks: Bytes) -> Bytes:
    return _halves(blocks[:, 16:144].reshape(-1, 4, 32)).reshape(-1, 256)


def _pack_q4_k(blocks: Bytes, codes: Bytes) -> None:
    blocks[:, 16:144] = _nibbles(codes.reshape(-1, 4, 64)).reshape(-1, 128)


_EIGHT_BITS = np.arange(8, dtype=np.uint8)[:, None]


def _unpack_q5_k(blocks: Bytes) -> Bytes:
    """Return the codes; bit n of the 32 bytes of fifth bits is that of the n-th 32 weights."""
    low = _halves(blocks[:, 48:176].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return (low | ((blocks[:, None, 16:48] >> _EIGHT_BITS & _FIFTH_BIT) << _HALF)).reshape(-1, 256)


def _pack_q5_k(blocks: Bytes, codes: Bytes) -> None:
    blocks[:, 48:176] = _nibbles(codes.reshape(-1, 4, 64)).reshape(-1, 128)
    fifth = (codes.reshape(-1, 8, 32) >> _HALF) << _EIGHT_BITS
    blocks[:, 16:48] = np.bitwise_or.reduce(fifth, axis=1)


_FOUR_SHIFTS = np.arange(0, 8, 2, dtype=np.uint8)[:, None]


def _unpack_q6_k(blocks: Bytes) -> Bytes:
    """Return the codes; in each half of a block a byte of upper bits has those of four weights."""
    low = _halves(blocks[:, :128].reshape(-1, 2, 64)).reshape(-1, 2, 4, 32)
    upper = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> _FOUR_SHIFTS & _TWO_BITS
    return (low | (upper << _HALF)).reshape(-1, 256)


def _pack_q6_k(blocks: Bytes, codes: Bytes) -> None:
    blocks[:, :128] = _nibbles(codes.reshape(-1, 2, 128)).reshape(-1, 128)
    upper = (codes.reshape(-1, 2, 4, 32) >> _HALF) << _FOUR_SHIFTS
    blocks[:, 128:192] = np.bitwise_or.reduce(upper, axis=2).reshape(-1, 64)


CODE_LAYOUTS = {
    2: _small(2, None),  # Q4_0
    3: _small(4, None),  # Q4_1
    6: _small(6, 2),  # Q5_0
    7: _small(8, 4),  # Q5_1
    12: CodeLayout(15, _unpack_q4_k, _pack_q4_k),
    13: CodeLayout(31, _unpack_q5_k, _pack_q5_k),
    14: CodeLayout(63, _unpack_q6_k, _pack_q6_k),
}
"""ggml type → where its codes lie, for the types whose codes are evenly spaced within a block."""


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
