"""Permutations: where llama.cpp's converter reorders the rows of a weight, the order that it makes.

A row order of W acts on the rows of B, because ΔW = scale · B · A; a column order acts on the columns of A.
A function that takes `HParams` is a `PermutationFn`: it returns source indices for the sizes of the base and
the number of rows (or columns) of the module. The others build such indices.
"""

import itertools
from functools import lru_cache

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import Permutation


def rope_q(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of query rows for architectures that rotate neighbouring elements."""
    return rope_permutation(hparams.heads, hparams.head_dim)


def rope_k(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of key rows; as `rope_q`, for the key-value heads."""
    return rope_permutation(hparams.kv_heads, hparams.head_dim)


@lru_cache(maxsize=8)
def rope_permutation(heads: int, head_dim: int) -> Permutation:
    """Return the order that interleaves the two halves of each head.

    Hugging Face rotates element j of a head with element j + head_dim / 2; llama.cpp's ``llama`` graph
    rotates neighbouring elements. (``LlamaModel.permute`` in llama.cpp's ``conversion/llama.py`` does the
    same by reshaping W.)
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
    """Return the rows of each section, gathered over all groups of a weight that stores group after group.

    Args:
        groups: the number of groups.
        sizes: the sizes of the sections of one group, in rows.
    """
    starts = list(itertools.accumulate(sizes, initial=0))
    return tuple(
        tuple(group * starts[-1] + row for group in range(groups) for row in range(start, end))
        for start, end in itertools.pairwise(starts)
    )


def compose(first: Permutation, then: Permutation) -> Permutation:
    """Return the order that applies `first` and then `then`, or an empty one if their lengths differ."""
    return tuple(first[row] for row in then) if len(first) == len(then) else ()


def _grouped_qkv_rows(hparams: HParams) -> tuple[Permutation, ...]:
    """Return the rows of q, of k and of v in a weight that stores them together for each key-value head."""
    queries = hparams.heads // max(hparams.kv_heads, 1)
    return split_groups(hparams.kv_heads, (queries * hparams.head_dim, hparams.head_dim, hparams.head_dim))


def grouped_qkv(hparams: HParams, _rows: int) -> Permutation:
    """Return the order that gathers q, k and v of a weight that stores them by key-value head.

    Hugging Face stores, for each key-value head, its query heads, then its key and its value; llama.cpp
    stores all queries, all keys, all values. (GPT-NeoX, Bloom, Falcon.)
    """
    return tuple(itertools.chain(*_grouped_qkv_rows(hparams)))


def grouped_q(hparams: HParams, _rows: int) -> Permutation:
    """Return the query rows of a weight grouped by key-value head, in rotary order (InternLM 2)."""
    return compose(_grouped_qkv_rows(hparams)[0], rope_permutation(hparams.heads, hparams.head_dim))


def grouped_k(hparams: HParams, _rows: int) -> Permutation:
    """Return the key rows of a weight grouped by key-value head, in rotary order."""
    return compose(_grouped_qkv_rows(hparams)[1], rope_permutation(hparams.kv_heads, hparams.head_dim))


def grouped_v(hparams: HParams, _rows: int) -> Permutation:
    """Return the value rows of a weight grouped by key-value head."""
    return _grouped_qkv_rows(hparams)[2]


def _packed_qkv_rows(hparams: HParams) -> tuple[Permutation, ...]:
    """Return the rows of q, of k and of v in a weight that concatenates the three."""
    return split_groups(
        1, tuple(heads * hparams.head_dim for heads in (hparams.heads, hparams.kv_heads, hparams.kv_heads))
    )


def packed_q(hparams: HParams, _rows: int) -> Permutation:
    """Return the query rows, the first of a concatenated q, k and v, in rotary order (Baichuan)."""
    return compose(_packed_qkv_rows(hparams)[0], rope_permutation(hparams.heads, hparams.head_dim))


def packed_k(hparams: HParams, _rows: int) -> Permutation:
    """Return the key rows, in the middle of a concatenated q, k and v, in rotary order."""
    return compose(_packed_qkv_rows(hparams)[1], rope_permutation(hparams.kv_heads, hparams.head_dim))


def packed_v(hparams: HParams, _rows: int) -> Permutation:
    """Return the value rows, the last of a concatenated q, k and v."""
    return _packed_qkv_rows(hparams)[2]


@lru_cache(maxsize=16)
def interleave_groups(groups: int, heads: int, size: int) -> Permutation:
    """Return the order that interleaves groups of heads: the first head of every group, then the second, ….

    Args:
        groups: the number of groups.
        heads: the number of heads in all groups together.
        size: the size of one head, in rows.
    """
    heads_per_group = heads // max(groups, 1)
    return tuple(
        (group * heads_per_group + head) * size + row
        for head in range(heads_per_group)
        for group in range(groups)
        for row in range(size)
    )


def by_key_head(hparams: HParams, _rows: int) -> Permutation:
    """Return the order that groups query heads (or the output projection's columns) by their key head.

    In Hugging Face's PLaMo, query head h uses key head h modulo the number of key heads; in llama.cpp,
    consecutive query heads share a key head.
    """
    return interleave_groups(hparams.heads // max(hparams.kv_heads, 1), hparams.heads, hparams.head_dim)


GROUPED = (grouped_q, grouped_k, grouped_v)
"""Orders of q, k and v for a fused weight that stores them by key-value head."""

PACKED = (packed_q, packed_k, packed_v)
"""Orders of q, k and v for a fused weight that concatenates the three."""


def first_half(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the first of two concatenated weights."""
    return tuple(range(rows // 2))


def second_half(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the second of two concatenated weights."""
    return tuple(range(rows // 2, rows // 2 * 2))


def even_rows(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the first of two weights whose rows alternate."""
    return tuple(range(0, rows, 2))


def odd_rows(_hparams: HParams, rows: int) -> Permutation:
    """Return the rows of the second of two weights whose rows alternate."""
    return tuple(range(1, rows, 2))
