"""Where codes and scales of quantised tensors lie: a weight is ``scale · (code - zero) + added``.

The code is a small integer of each weight. Neighbouring weights share a scale, and in some types a number
that is added. Products and sums are those of the gguf library, so that the numbers are the same bits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ollama_pack.gguf.ggml_types import Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K

Bytes: TypeAlias = npt.NDArray[np.uint8]
Scales: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""The scale of each group of weights, flat, and what is added to them, if anything is."""

_LOW, _HALF, _FIFTH_BIT, _TWO_BITS = np.uint8(15), np.uint8(4), np.uint8(1), np.uint8(3)
_UPPER_PAIR, _SIX_BITS, _UPPER_BITS = np.uint8(2), np.uint8(63), np.uint8(48)


class CodeLayout(NamedTuple):
    """Where the codes of a type lie in a block.

    Attributes:
        largest: the largest code; the smallest is 0.
        unpack: blocks → codes, both with one row a block.
        pack: writes codes into blocks, in place.
        scales: blocks → the numbers by which their codes are multiplied, and the numbers that are added.
        zero: the code of the number 0, in types to which nothing is added.
        shared: the number of weights that share a scale.
    """

    largest: int
    unpack: Callable[[Bytes], Bytes]
    pack: Callable[[Bytes, Bytes], None]
    scales: Callable[[Bytes], Scales]
    zero: int = 0
    shared: int = 32


def bytes_at(blocks: Bytes, first: int, count: int) -> Bytes:
    """Return a copy of some bytes of each block, contiguous."""
    copied = np.empty((len(blocks), count), np.uint8)
    _in_values(copied, 0, count)[...] = _in_values(blocks, first, count)
    return copied


def put_bytes(blocks: Bytes, first: int, values: Bytes) -> None:
    """Write some bytes of each block, given as contiguous rows."""
    count = values.shape[-1]
    _in_values(blocks, first, count)[...] = _in_values(values, 0, count)


def _in_values(blocks: Bytes, first: int, count: int) -> npt.NDArray[Any]:
    """Return a view of some bytes of each block as few large values, which numpy copies faster than bytes.

    Complex numbers are the largest that it copies while other threads run; those of long double have 32 bytes
    where a long double has 16.
    """
    kind = next(kind for kind in _VALUES if count % kind.itemsize == 0)
    shape, strides = (len(blocks), count // kind.itemsize), (blocks.shape[1], kind.itemsize)
    return np.ndarray(shape, kind, blocks.data, first, strides)


_VALUES = tuple(np.dtype(kind) for kind in ("G", "c16", "u8", "u4", "u2", "u1"))


def _halves(packed: Bytes) -> Bytes:
    """Return low nibbles, then high nibbles, of the last axis; the bytes are contiguous."""
    width = packed.shape[-1]
    codes = np.empty((packed.size // width, 2 * width), np.uint8)
    put_bytes(codes, 0, (packed & _LOW).reshape(-1, width))
    put_bytes(codes, width, (packed >> _HALF).reshape(-1, width))
    return codes.reshape(*packed.shape[:-1], 2 * width)


def _float16_at(blocks: Bytes, place: int) -> npt.NDArray[np.float32]:
    """Return a float16 of each block."""
    return np.ndarray((len(blocks),), "<f2", blocks.data, place, blocks.strides[:1]).astype(np.float32)


def _nibbles(codes: Bytes) -> Bytes:
    """Return bytes whose low nibbles are the first half of the last axis, and the high ones the second."""
    half = codes.shape[-1] // 2
    packed: Bytes = (codes[..., :half] & _LOW) | ((codes[..., half:] & _LOW) << _HALF)
    return packed


def _small(at: int, fifth: int | None, *, added: bool) -> CodeLayout:
    """Return the layout of a type of 32 weights: nibbles behind `at`, fifth bits in four bytes.

    The scale comes first, and behind it what is `added`.
    """

    def unpack(blocks: Bytes) -> Bytes:
        codes = _halves(bytes_at(blocks, at, 16))
        if fifth is not None:
            codes |= np.unpackbits(blocks[:, fifth : fifth + 4], axis=1, bitorder="little") << _HALF
        return codes

    def pack(blocks: Bytes, codes: Bytes) -> None:
        blocks[:, at : at + 16] = _nibbles(codes)
        if fifth is not None:
            blocks[:, fifth : fifth + 4] = np.packbits(codes >> _HALF, axis=1, bitorder="little")

    def scales(blocks: Bytes) -> Scales:
        return _float16_at(blocks, 0), _float16_at(blocks, 2) if added else None

    count = 16 if fifth is None else 32
    return CodeLayout(count - 1, unpack, pack, scales, 0 if added else count // 2)


def _six_bit_scales(blocks: Bytes) -> Scales:
    """Return the scales of Q4_K and Q5_K: of eight groups, each six bits, as is what is subtracted."""
    low, least, upper = (bytes_at(blocks, place, 4) for place in (4, 8, 12))
    scales = np.concatenate([low & _SIX_BITS, (upper & _LOW) | (low >> _UPPER_PAIR & _UPPER_BITS)], axis=1)
    steps = np.concatenate(
        [least & _SIX_BITS, (upper >> _HALF) | (least >> _UPPER_PAIR & _UPPER_BITS)], axis=1
    )
    scale = _float16_at(blocks, 0)[:, None] * scales.astype(np.float32)
    added = -_float16_at(blocks, 2)[:, None] * steps.astype(np.float32)
    return scale.reshape(-1), added.reshape(-1)


def _unpack_q4_k(blocks: Bytes) -> Bytes:
    """Return the codes of Q4_K blocks, one a byte."""
    return _halves(bytes_at(blocks, 16, 128).reshape(-1, 4, 32)).reshape(-1, 256)


def _pack_q4_k(blocks: Bytes, codes: Bytes) -> None:
    """Write codes, one a byte, into Q4_K blocks."""
    blocks[:, 16:144] = _nibbles(codes.reshape(-1, 4, 64)).reshape(-1, 128)


_EIGHT_BITS = np.arange(8, dtype=np.uint8)[:, None]


def _unpack_q5_k(blocks: Bytes) -> Bytes:
    """Return the codes; bit n of the 32 bytes of fifth bits is that of the n-th 32 weights."""
    low = _halves(bytes_at(blocks, 48, 128).reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return (low | ((blocks[:, None, 16:48] >> _EIGHT_BITS & _FIFTH_BIT) << _HALF)).reshape(-1, 256)


def _pack_q5_k(blocks: Bytes, codes: Bytes) -> None:
    """Write codes, one a byte, into Q5_K blocks."""
    blocks[:, 48:176] = _nibbles(codes.reshape(-1, 4, 64)).reshape(-1, 128)
    fifth = (codes.reshape(-1, 8, 32) >> _HALF) << _EIGHT_BITS
    blocks[:, 16:48] = np.bitwise_or.reduce(fifth, axis=1)


_FOUR_SHIFTS = np.arange(0, 8, 2, dtype=np.uint8)[:, None]


def _unpack_q6_k(blocks: Bytes) -> Bytes:
    """Return the codes; in each half of a block a byte of upper bits has those of four weights."""
    low = _halves(bytes_at(blocks, 0, 128).reshape(-1, 2, 64)).reshape(-1, 2, 4, 32)
    upper = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> _FOUR_SHIFTS & _TWO_BITS
    return (low | (upper << _HALF)).reshape(-1, 256)


def _pack_q6_k(blocks: Bytes, codes: Bytes) -> None:
    """Write codes, one a byte, into Q6_K blocks."""
    blocks[:, :128] = _nibbles(codes.reshape(-1, 2, 128)).reshape(-1, 128)
    upper = (codes.reshape(-1, 2, 4, 32) >> _HALF) << _FOUR_SHIFTS
    blocks[:, 128:192] = np.bitwise_or.reduce(upper, axis=2).reshape(-1, 64)


def _scales_of_q6_k(blocks: Bytes) -> Scales:
    """Return the scales of Q6_K: of sixteen groups, each a signed byte."""
    scales = bytes_at(blocks, 192, 16).view(np.int8).astype(np.float32)
    return (_float16_at(blocks, 208)[:, None] * scales).reshape(-1), None


CODE_LAYOUTS = {
    Q4_0: _small(2, None, added=False),
    Q4_1: _small(4, None, added=True),
    Q5_0: _small(6, 2, added=False),
    Q5_1: _small(8, 4, added=True),
    Q4_K: CodeLayout(15, _unpack_q4_k, _pack_q4_k, _six_bit_scales),
    Q5_K: CodeLayout(31, _unpack_q5_k, _pack_q5_k, _six_bit_scales),
    Q6_K: CodeLayout(63, _unpack_q6_k, _pack_q6_k, _scales_of_q6_k, zero=32, shared=16),
}
"""ggml type → where its codes lie, for the types whose codes are evenly spaced within a block."""


def numbers_of(blocks: Bytes, layout: CodeLayout) -> npt.NDArray[np.float32]:
    """Return the numbers of blocks, flat, bit for bit as the gguf library computes them."""
    codes = layout.unpack(blocks).reshape(-1, layout.shared)
    if layout.zero:
        codes = codes.view(np.int8)
        codes -= np.int8(layout.zero)
    numbers = codes.reshape(-1).astype(np.float32)
    scale, added = layout.scales(blocks)
    numbers *= np.repeat(scale, layout.shared)  # faster than to spread it over short rows
    if added is not None:
        numbers += np.repeat(added, layout.shared)
    return numbers
