"""Row orders of gated delta nets, the linear attention of Qwen3-Next and Qwen 3.5.

Each key head serves several value heads. Hugging Face keeps the rows of one key head together. llama.cpp
groups rows by kind (query, key, value, gate), and for Qwen 3.5 it interleaves the value heads: first the
first value head of every key head, then the second of every key head, and so on. (``Qwen3NextModel`` and
``_LinearAttentionVReorderBase`` in llama.cpp's ``conversion/qwen.py``.)
"""

import itertools

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.permutations import interleave_groups, split_groups
from ollama_pack.arch.spec import Permutation


def delta_qkv(hparams: HParams, _rows: int) -> Permutation:
    """Return the rows of queries, keys and values of ``in_proj_qkvz``, which groups them by key head."""
    return tuple(itertools.chain(*_of_key_heads(hparams)[:3]))


def delta_gate(hparams: HParams, _rows: int) -> Permutation:
    """Return the rows of the gates (z) of ``in_proj_qkvz``."""
    return _of_key_heads(hparams)[3]


def interleaved_heads(hparams: HParams, _rows: int) -> Permutation:
    """Return the interleaved order of a weight with one row for each value head."""
    return interleave_groups(hparams.ssm.groups, hparams.ssm.heads, 1)


def interleaved_values(hparams: HParams, _rows: int) -> Permutation:
    """Return the interleaved order of the rows, or columns, of all value heads."""
    return interleave_groups(hparams.ssm.groups, hparams.ssm.heads, _value_size(hparams))


def interleaved_qkv(hparams: HParams, _rows: int) -> Permutation:
    """Return queries and keys in their own order, then the values below them, interleaved."""
    first_value = 2 * hparams.ssm.groups * hparams.ssm.state
    return (*range(first_value), *(first_value + row for row in interleaved_values(hparams, _rows)))


def _of_key_heads(hparams: HParams) -> tuple[Permutation, ...]:
    """Return the rows of queries, keys, values and gates of a weight that groups them by key head."""
    values = hparams.ssm.heads // max(hparams.ssm.groups, 1) * _value_size(hparams)
    return split_groups(hparams.ssm.groups, (hparams.ssm.state, hparams.ssm.state, values, values))


def _value_size(hparams: HParams) -> int:
    """Return the size of one value head; `max` guards against a base whose sizes are unknown."""
    return hparams.ssm.inner // max(hparams.ssm.heads, 1)
