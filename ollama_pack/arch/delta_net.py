"""Row orders of gated delta nets, the linear attention of Qwen3-Next and Qwen 3.5.

Each key head serves several value heads. Hugging Face keeps what belongs to one key head together; llama.cpp
wants kinds of rows together, and in Qwen 3.5 the value heads dealt out: the first of every key head, then the
second. (``Qwen3NextModel`` and ``_LinearAttentionVReorderBase`` in llama.cpp's conversion.)
"""

import itertools

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.permutations import interleave_groups, split_groups
from ollama_pack.arch.spec import Permutation


def delta_qkv(hparams: HParams, _rows: int) -> Permutation:
    """Return queries, keys and values of a weight that has those and the gates of each key head together."""
    return tuple(itertools.chain(*_of_key_heads(hparams)[:3]))


def delta_gate(hparams: HParams, _rows: int) -> Permutation:
    """Return the gates of such a weight."""
    return _of_key_heads(hparams)[3]


def interleaved_heads(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of a row a value head, dealt out to the key heads."""
    return interleave_groups(hparams.ssm.groups, hparams.ssm.heads, 1)


def interleaved_values(hparams: HParams, _rows: int) -> Permutation:
    """Return the order of the rows, or columns, of all value heads, dealt out to the key heads."""
    return interleave_groups(hparams.ssm.groups, hparams.ssm.heads, _value_size(hparams))


def interleaved_qkv(hparams: HParams, _rows: int) -> Permutation:
    """Return queries and keys as they are, and the values below them dealt out to the key heads."""
    above = 2 * hparams.ssm.groups * hparams.ssm.state
    return (*range(above), *(above + row for row in interleaved_values(hparams, _rows)))


def _of_key_heads(hparams: HParams) -> tuple[Permutation, ...]:
    values = hparams.ssm.heads // max(hparams.ssm.groups, 1) * _value_size(hparams)
    return split_groups(hparams.ssm.groups, (hparams.ssm.state, hparams.ssm.state, values, values))


def _value_size(hparams: HParams) -> int:
    return hparams.ssm.inner // max(hparams.ssm.heads, 1)
