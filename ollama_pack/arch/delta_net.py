"""Row orders of gated delta nets, the linear attention of Qwen3-Next and Qwen 3.5.

Each key head serves several value heads. Hugging Face keeps what belongs to one key head together; llama.cpp
wants kinds of rows together, and in Qwen 3.5 the value heads dealt out: the first of every key head, then the
second. (``Qwen3NextModel`` and ``_LinearAttentionVReorderBase`` in llama.cpp's conversion.)
"""

import itertools

from ollama_pack.arch.hparams import Base
from ollama_pack.arch.permutations import interleave_groups, split_groups
from ollama_pack.arch.spec import Permutation


def delta_qkv(base: Base, _rows: int) -> Permutation:
    """Return queries, keys and values of a weight that has those and the gates of each key head together."""
    return tuple(itertools.chain(*_of_key_heads(base)[:3]))


def delta_gate(base: Base, _rows: int) -> Permutation:
    """Return the gates of such a weight."""
    return _of_key_heads(base)[3]


def interleaved_heads(base: Base, _rows: int) -> Permutation:
    """Return the order of a row a value head, dealt out to the key heads."""
    return interleave_groups(base.ssm.groups, base.ssm.heads, 1)


def interleaved_values(base: Base, _rows: int) -> Permutation:
    """Return the order of the rows, or columns, of all value heads, dealt out to the key heads."""
    return interleave_groups(base.ssm.groups, base.ssm.heads, _value_size(base))


def interleaved_qkv(base: Base, _rows: int) -> Permutation:
    """Return queries and keys as they are, and the values below them dealt out to the key heads."""
    above = 2 * base.ssm.groups * base.ssm.state
    return (*range(above), *(above + row for row in interleaved_values(base, _rows)))


def _of_key_heads(base: Base) -> tuple[Permutation, ...]:
    values = base.ssm.heads // max(base.ssm.groups, 1) * _value_size(base)
    return split_groups(base.ssm.groups, (base.ssm.state, base.ssm.state, values, values))


def _value_size(base: Base) -> int:
    return base.ssm.inner // max(base.ssm.heads, 1)
