"""What llama.cpp does to a weight of Hugging Face's, stated by its axes.

Nothing here is a permutation: a weight is split along an axis, its axes are swapped, and it is joined again,
as the class of its model does it in llama.cpp's conversion. The mapping makes the same order as a list of row
numbers; as the two share no code, one proves the other.

Every function takes rows × anything (experts may stand in front), so it acts on B as it would act on ΔW, and
it returns a matrix for each tensor that the weight becomes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ollama_pack.arch.hparams import HParams

Matrix = npt.NDArray[Any]
"""Numbers of any type, rows × columns in the last two dimensions."""

Axes = Callable[[Matrix, HParams], tuple[Matrix, ...]]
"""A weight and the sizes of its model → what each of its tensors holds, in the order of their names."""


def pair_halves(weight: Matrix, heads: int, head_dim: int) -> Matrix:
    """Return a weight with element j of each head beside element j + head_dim / 2.

    Hugging Face rotates these two together, and llama.cpp's graph rotates neighbours. This is
    ``LlamaModel.permute``.
    """
    by_half = weight.reshape(heads, 2, head_dim // 2, -1)
    return by_half.swapaxes(1, 2).reshape(weight.shape)


def paired_queries(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return queries whose halves are paired."""
    return (pair_halves(weight, base.heads, base.head_dim),)


def paired_keys(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return keys whose halves are paired."""
    return (pair_halves(weight, base.kv_heads, base.head_dim),)


def queries_keys_values(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return the parts of a weight that has all queries, then all keys, then all values."""
    return tuple(np.split(weight, np.cumsum([base.heads, base.kv_heads]) * base.head_dim))


def _group_parts(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return queries, keys and values of a weight that has those of each key head together."""
    served = base.heads // base.kv_heads
    groups = weight.reshape(base.kv_heads, served + 2, base.head_dim, -1)
    parts = (groups[:, :served], groups[:, served], groups[:, served + 1])
    return tuple(part.reshape(-1, weight.shape[-1]) for part in parts)


def ungrouped_qkv(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return one weight of all queries, all keys, all values (``BloomModel``, ``FalconModel``)."""
    return (np.concatenate(_group_parts(weight, base)),)


def _with_paired_halves(parts: tuple[Matrix, ...], base: HParams) -> tuple[Matrix, ...]:
    """Return q, k and v with the halves of each head of q and k in pairs."""
    q, k, v = parts
    return (*paired_queries(q, base), *paired_keys(k, base), v)


def grouped_to_parts(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return queries and keys with paired halves, and values, of a weight in groups (``InternLM2Model``)."""
    return _with_paired_halves(_group_parts(weight, base), base)


def stacked_to_parts(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return queries and keys with paired halves, and values, of one stacked weight (``BaichuanModel``)."""
    return _with_paired_halves(queries_keys_values(weight, base), base)


def upper_and_lower(weight: Matrix, _base: HParams) -> tuple[Matrix, ...]:
    """Return the two halves of the rows, such as gate and up, or key and value."""
    return tuple(np.split(weight, 2, axis=-2))


def even_and_odd(weight: Matrix, _base: HParams) -> tuple[Matrix, ...]:
    """Return the rows with even and the rows with odd numbers (``GptOssModel``)."""
    pairs = weight.reshape(*weight.shape[:-2], -1, 2, weight.shape[-1])
    return pairs[..., 0, :], pairs[..., 1, :]


def queries_by_key_head(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return query heads grouped by key head; the given ones take the key heads in turn (``PlamoModel``)."""
    heads = weight.reshape(base.heads // base.kv_heads, base.kv_heads, base.head_dim, -1)
    return (heads.swapaxes(0, 1).reshape(weight.shape),)


def key_heads_to_kinds(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return one weight of queries, keys and values, and one of gates; the given one is grouped by key head.

    This is ``Qwen3NextModel``.
    """
    ssm = base.ssm
    values = ssm.inner // ssm.groups
    heads = weight.reshape(ssm.groups, -1, weight.shape[-1])
    parts = np.split(heads, np.cumsum([ssm.state, ssm.state, values]), axis=1)
    q, k, v, gates = (part.reshape(-1, weight.shape[-1]) for part in parts)
    return np.concatenate([q, k, v]), gates


def dealt_values(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return value heads with the first of every key head first, then the second of every one.

    This is ``_LinearAttentionVReorderBase``.
    """
    ssm = base.ssm
    heads = weight.reshape(ssm.groups, ssm.heads // ssm.groups, -1, weight.shape[-1])
    return (heads.swapaxes(0, 1).reshape(weight.shape),)


def dealt_values_below(weight: Matrix, base: HParams) -> tuple[Matrix, ...]:
    """Return queries and keys as they are, and the values below them dealt out."""
    above, below = np.split(weight, [2 * base.ssm.groups * base.ssm.state])
    return (np.concatenate([above, *dealt_values(below, base)]),)


def number_of(*names: str, place: int = 0) -> Callable[[HParams], float]:
    """Return a function from a base to the product of numbers in its config.json.

    Args:
        names: the keys.
        place: the index in each key's list of numbers.
    """
    return lambda base: float(np.prod([base.multipliers[name][place] for name in names]))


def state_space_numbers(base: HParams) -> Matrix:
    """Return a column of what multiplies each row of gates, values, B, C and steps (``FalconH1Model``)."""
    ssm = base.ssm
    sizes = [ssm.inner, ssm.inner, ssm.groups * ssm.state, ssm.groups * ssm.state, ssm.heads]
    each = np.array(base.multipliers["ssm_multipliers"]) * base.multipliers["ssm_in_multiplier"][0]
    return np.repeat(each, sizes)[:, None]
