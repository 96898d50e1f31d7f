"""Row orders: how llama.cpp arranges the rows of a weight that Hugging Face arranges otherwise.

Each function takes the base and returns a permutation. A row order of W acts on the rows of B,
because ΔW = scale · B · A; A is never touched.
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
