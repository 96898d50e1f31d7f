"""Row orders: how llama.cpp arranges the rows of a weight that Hugging Face arranges otherwise.

A row order of W acts on the rows of B, because ΔW = scale · B · A; A is never touched. The first kind
takes the base and returns a permutation; the second takes the number of rows of a fused weight and
returns those that one of its parts has.
"""

from functools import lru_cache

from ollama_pack.archs.row import Order
from ollama_pack.parts import Base


def rope_q(base: Base) -> Order:
    """Return the order of query rows for architectures with interleaved rotary pairs."""
    return interleaved(base.heads, base.head_dim)


def rope_k(base: Base) -> Order:
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


def first_half(rows: int) -> Order:
    """Return the rows of the first of two weights, one below the other."""
    return tuple(range(rows // 2))


def second_half(rows: int) -> Order:
    """Return the rows of the second of two weights, one below the other."""
    return tuple(range(rows // 2, rows))


def even_rows(rows: int) -> Order:
    """Return the rows of the first of two weights whose rows take turns."""
    return tuple(range(0, rows, 2))


def odd_rows(rows: int) -> Order:
    """Return the rows of the second of two weights whose rows take turns."""
    return tuple(range(1, rows, 2))
