"""Makes pairs from pairs: the sum of several, a stack with one for each expert, a transposed pair.

The pairs of a sum or a stack may have different scales. The result gets the scale that most of them have, so
that their numbers stay untouched; in each of the others, B is multiplied by its own scale / that scale.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ollama_pack.lora.adapter import LoraPair
from ollama_pack.lora.algebra import concatenate, scale_by, stack_padded, transpose

if TYPE_CHECKING:
    from ollama_pack.gguf.tensors import Tensor
    from ollama_pack.lora.factors import Fit


def scale_pair(pair: LoraPair, weight: float) -> LoraPair:
    """Return a pair whose ΔW is that of another pair multiplied by a number."""
    return pair._replace(alpha=pair.alpha * weight)


def fitted_pair(pair: LoraPair, out: int, width: int) -> LoraPair:
    """Return a pair with the A and B that it has for a weight of out × in; a size is 0 if it is unknown.

    Raises:
        FactorError: the size is unknown, or the trained tensors do not fit it.
    """
    if pair.fit is None:
        return pair
    a, b = pair.fit(out, width)
    return pair._replace(a=a, b=b, fit=None)


def sum_pairs(pairs: Sequence[LoraPair]) -> LoraPair:
    """Return one pair whose ΔW is exactly the sum of all ΔW of one module: A and B are concatenated."""
    if len(pairs) == 1:
        return pairs[0]
    rank = sum(pair.rank for pair in pairs)
    scale, factors = _shared_scale(pairs)
    a = concatenate([pair.a for pair in pairs], -2)
    b = concatenate([scale_by(pair.b, factor) for pair, factor in zip(pairs, factors, strict=True)], -1)
    return LoraPair(pairs[0].module, a, b, scale * rank, _fit_of_sum(pairs))


def _fit_of_sum(pairs: Sequence[LoraPair]) -> "Fit | None":
    """Return the function that fits the sum of pairs to their weight, or None if none needs a fit."""
    if all(pair.fit is None for pair in pairs):
        return None

    def fit(out: int, width: int) -> "tuple[Tensor, Tensor]":
        fitted = sum_pairs([fitted_pair(pair, out, width) for pair in pairs])
        return fitted.a, fitted.b

    return fit


def stack_pairs(pairs: Mapping[int, LoraPair], experts: int) -> LoraPair:
    """Return one pair for a stack of experts.

    Smaller ranks are padded with zeros, and experts without a pair are all zeros.

    Args:
        pairs: the pairs of some or all experts, by the number of the expert.
        experts: how many experts the stack has.
    """
    given = list(pairs.values())
    rank = max(pair.rank for pair in given)
    scale, factors = _shared_scale(given)
    out, width = given[0].b.shape[0], given[0].a.shape[1]
    sides: dict[int, tuple[Tensor, Tensor]] = {
        expert: (pair.a, scale_by(pair.b, factor))
        for (expert, pair), factor in zip(pairs.items(), factors, strict=True)
    }
    a = stack_padded(
        [sides[expert][0] if expert in sides else None for expert in range(experts)], (rank, width)
    )
    b = stack_padded(
        [sides[expert][1] if expert in sides else None for expert in range(experts)], (out, rank)
    )
    alpha = next((pair.alpha for pair in given if pair.rank == rank and pair.scale == scale), scale * rank)
    return LoraPair(given[0].module, a, b, alpha)


def transpose_pair(pair: LoraPair) -> LoraPair:
    """Return the pair of the transposed ΔW."""
    return LoraPair(pair.module, transpose(pair.b), transpose(pair.a), pair.alpha)


def _shared_scale(pairs: Sequence[LoraPair]) -> tuple[float, list[float]]:
    """Return the scale that most pairs have, and the factor of each B.

    If several scales are as frequent, it is the largest of them, so that no B grows beyond its type.
    """
    scales = [pair.scale for pair in pairs]
    counts = Counter(scale for scale in scales if scale != 0.0)
    if not counts:
        return 0.0, [1.0] * len(pairs)
    usual = max(counts, key=lambda value: (counts[value], abs(value), value))
    return usual, [scale / usual for scale in scales]
