"""Row orders: how llama.cpp arranges the rows of a weight that Hugging Face arranges otherwise.

A row order of W acts on the rows of B, because ΔW = scale · B · A; a column order acts on the columns of A.
Each takes the base, and the number of rows that the module has.
"""

import itertools
from functools import lru_cache

from ollama_pack.archs.row import Order
from ollama_pack.parts import Base


def rope_q(base: Base, _rows: int) -> Order:
    """Return the order of query rows for architectures with interleaved rotary pairs."""
    return interleaved(base.heads, base.head_dim)


def rope_k(base: Base, _rows: int) -> Order:
    """Return the order of key rows; there are as many heads as key-value heads."""
    return interleaved(base.kv_heads, base.head_dim)


@lru_cache(maxsize=8)
def interleaved(heads: int, head_dim: int) -> Order:
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


def grouped_qkv(base: Base, _rows: int) -> Order:
    """Return the order of a weight that has q, k and v of each group of heads together.

    Hugging Face keeps, for each key-value head, the query heads it serves, then its key and its value;
    llama.cpp wants all q, all k, all v. (GPT-NeoX, Bloom, Falcon.)
    """
    return ungrouped(base.heads, base.kv_heads, base.head_dim)


@lru_cache(maxsize=8)
def ungrouped(heads: int, kv_heads: int, head_dim: int) -> Order:
    """Return the order that takes groups of heads apart: all queries, all keys, all values."""
    served = heads // max(kv_heads, 1)
    group = (served + 2) * head_dim
    edges = (0, served * head_dim, group - head_dim, group)
    parts = [range(*pair) for pair in itertools.pairwise(edges)]
    return tuple(start * group + row for part in parts for start in range(kv_heads) for row in part)


def first_half(_base: Base, rows: int) -> Order:
    """Return the rows of the first of two weights, one below the other."""
    return tuple(range(rows // 2))


def second_half(_base: Base, rows: int) -> Order:
    """Return the rows of the second of two weights, one below the other."""
    return tuple(range(rows // 2, rows // 2 * 2))


def even_rows(_base: Base, rows: int) -> Order:
    """Return the rows of the first of two weights whose rows take turns."""
    return tuple(range(0, rows, 2))


def odd_rows(_base: Base, rows: int) -> Order:
    """Return the rows of the second of two weights whose rows take turns."""
    return tuple(range(1, rows, 2))
