"""Row orders: how llama.cpp arranges the rows of a weight that Hugging Face arranges otherwise.

A row order of W acts on the rows of B, because ΔW = scale · B · A; a column order acts on the columns of A.
Each takes the base, and the number of rows that the module has.
"""

import itertools
from functools import lru_cache

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import Permutation


def rope_q(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of query rows for architectures with interleaved rotary pairs."""
    return rope_permutation(hparams.heads, hparams.head_dim)


def rope_k(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of key rows; there are as many heads as key-value heads."""
    return rope_permutation(hparams.kv_heads, hparams.head_dim)


@lru_cache(maxsize=8)
def rope_permutation(heads: int, head_dim: int) -> Permutation:
    """Return the order that brings the two halves of each head into pairs.

    Hugging Face rotates element j of a head with element j + head_dim / 2, llama.cpp's ``llama``
    graph rotates neighbours. (``LlamaModel.permute`` in llama.cpp's conversion does the same by
    reshaping W.)
    """
    half = head_dim // 2
    return tuple(
        head * head_dim + side * half + pair
        for head in range(heads)
        for pair in range(half)
        for side in (0, 1)
    )


@lru_cache(maxsize=32)
def split_groups(groups: int, sizes: tuple[int, ...]) -> tuple[Permutation, ...]:
    """Return the rows of each section of all groups, where each group has its sections together.

    Args:
        groups: how many there are.
        sizes: of the sections of one group, in rows.
    """
    starts = list(itertools.accumulate(sizes, initial=0))
    return tuple(
        tuple(group * starts[-1] + row for group in range(groups) for row in range(start, end))
        for start, end in itertools.pairwise(starts)
    )


def compose(first: Permutation, then: Permutation) -> Permutation:
    """Return the order that is one order after another; empty where they are not of one length."""
    return tuple(first[row] for row in then) if len(first) == len(then) else ()


def _grouped_qkv_rows(hparams: HParams) -> tuple[Permutation, ...]:
    """Return queries, keys and values of a weight that has those of each key-value head together."""
    served = hparams.heads // max(hparams.kv_heads, 1)
    return split_groups(hparams.kv_heads, (served * hparams.head_dim, hparams.head_dim, hparams.head_dim))


def grouped_qkv(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of a weight that has q, k and v of each group of heads together.

    Hugging Face keeps, for each key-value head, the query heads it serves, then its key and its value;
    llama.cpp wants all q, all k, all v. (GPT-NeoX, Bloom, Falcon.)
    """
    return tuple(itertools.chain(*_grouped_qkv_rows(hparams)))


def grouped_q(hparams: HParams, _rows: int) -> Permutation:
    """Return the queries of a weight in groups, the halves of each head side by side (InternLM2)."""
    return compose(_grouped_qkv_rows(hparams)[0], rope_permutation(hparams.heads, hparams.head_dim))


def grouped_k(hparams: HParams, _rows: int) -> Permutation:
    """Return the keys of a weight in groups, the halves of each head side by side."""
    return compose(_grouped_qkv_rows(hparams)[1], rope_permutation(hparams.kv_heads, hparams.head_dim))


def grouped_v(hparams: HParams, _rows: int) -> Permutation:
    """Return the values of a weight in groups."""
    return _grouped_qkv_rows(hparams)[2]


def _packed_qkv_rows(hparams: HParams) -> tuple[Permutation, ...]:
    """Return queries, keys and values of a weight that has them one below the other."""
    return split_groups(
        1, tuple(heads * hparams.head_dim for heads in (hparams.heads, hparams.kv_heads, hparams.kv_heads))
    )


def packed_q(hparams: HParams, _rows: int) -> Permutation:
    """Return the queries at the top of a weight, the halves of each head side by side (Baichuan)."""
    return compose(_packed_qkv_rows(hparams)[0], rope_permutation(hparams.heads, hparams.head_dim))


def packed_k(hparams: HParams, _rows: int) -> Permutation:
    """Return the keys in the middle of a weight, the halves of each head side by side."""
    return compose(_packed_qkv_rows(hparams)[1], rope_permutation(hparams.kv_heads, hparams.head_dim))


def packed_v(hparams: HParams, _rows: int) -> Permutation:
    """Return the values at the bottom of a weight."""
    return _packed_qkv_rows(hparams)[2]


@lru_cache(maxsize=16)
def interleave_groups(groups: int, heads: int, size: int) -> Permutation:
    """Return the order that deals heads out: the first of each group, then the second of each.

    Args:
        groups: of heads, the key heads.
        heads: how many there are in all.
        size: of a head, in rows.
    """
    served = heads // max(groups, 1)
    return tuple(
        (group * served + head) * size + row
        for head in range(served)
        for group in range(groups)
        for row in range(size)
    )


def by_key_head(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of query heads, or of the columns behind them, that brings a key head's together.

    Hugging Face's PLaMo gives query head h the key head h modulo their number; llama.cpp gives each key head
    the next few queries.
    """
    return interleave_groups(hparams.heads // max(hparams.kv_heads, 1), hparams.heads, hparams.head_dim)


GROUPED = (grouped_q, grouped_k, grouped_v)
PACKED = (packed_q, packed_k, packed_v)
"""Queries, keys and values of a weight that has them in groups, or one below the other."""


def first_half(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the first of two weights, one below the other."""
    return tuple(range(rows // 2))


def second_half(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the second of two weights, one below the other."""
    return tuple(range(rows // 2, rows // 2 * 2))


def even_rows(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the first of two weights whose rows take turns."""
    return tuple(range(0, rows, 2))


def odd_rows(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the second of two weights whose rows take turns."""
    return tuple(range(1, rows, 2))
