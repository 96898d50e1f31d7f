"""Checks that a pair fits its weight in the base: shapes, vocabularies, experts, and row orders.

A mixture with single experts has tens of thousands of pairs for a few hundred tensors, so whatever depends on
the tensor alone is computed once (`BaseView`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from ollama_pack.arch.spec import Kind, Permutation, PermutationFn, Target, dimension
from ollama_pack.base.model import BaseModel
from ollama_pack.gguf.tensors import MATRIX_NDIM
from ollama_pack.lora.adapter import LoraPair

PERMUTED_DIMENSIONS = ("heads", "kv_heads", "gated_heads", "qkv", "ssm")
"""Prefixes of the sizes that permutations depend on; if such a size is unknown, no permutation is
attempted."""


class BaseView:
    """What the checks of an adapter's modules need to know of the base; each answer is computed once.

    Modules that differ only in the number of their expert get the same answers.

    Args:
        base: the base, with its tensors under the names of the table of architectures.
    """

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self._layers: dict[int, BaseModel] = {}
        self._shapes: dict[tuple[str, int], tuple[int, int]] = {}
        self._orders: dict[tuple[PermutationFn, int, int], Permutation] = {}
        self._faults: dict[tuple[str, str, int, tuple[int, int]], str] = {}

    def layer(self, block: int) -> BaseModel:
        """Return the base with the heads of one block."""
        if block not in self._layers:
            self._layers[block] = self.base.at_layer(block)
        return self._layers[block]

    def expected_shape(self, targets: Sequence[Target]) -> tuple[int, int]:
        """Return out × in of the matrix that B·A of a module must have; a size is 0 if it is unknown."""
        key = (targets[0].weight.module, targets[0].block)
        if key not in self._shapes:
            sizes = [matrix_shape(target, self.layer(target.block)) for target in targets]
            rows = sum(out for out, _ in sizes) if all(out for out, _ in sizes) else 0
            self._shapes[key] = rows, sizes[0][1]
        return self._shapes[key]

    def permutation(self, order: PermutationFn, base: BaseModel, count: int) -> Permutation:
        """Return the order in which a tensor takes `count` rows or columns."""
        key = (order, id(base.hparams), count)  # the bases live as long as this view
        if key not in self._orders:
            self._orders[key] = order(base.hparams, count)
        return self._orders[key]

    def permutation_error(self, aim: "Candidate") -> str:
        """Return why the rows or columns of a pair cannot be put in order, or "" if they can."""
        weight = aim.target.weight
        key = (weight.module, weight.tensor, id(aim.base.hparams), aim.shape)
        if key not in self._faults:
            self._faults[key] = _permutation_error(aim, self)
        return self._faults[key]


class Candidate(NamedTuple):
    """A pair and one tensor that it may go to.

    Attributes:
        pair: the pair, transposed if the base stores its weight that way.
        target: the tensor it goes to.
        module_targets: every target of its module, this one among them; a fused module has several.
        base: the base, with the heads of the block of the target.
        expected: out × in that the base asks of the module; a size is 0 if it is unknown.
        shape: out × in of ΔW, of one expert if there are experts.
    """

    pair: LoraPair
    target: Target
    module_targets: tuple[Target, ...]
    base: BaseModel
    expected: tuple[int, int]
    shape: tuple[int, int]

    def with_pair(self, pair: LoraPair) -> "Candidate":
        """Return the candidate with another pair."""
        return self._replace(pair=pair, shape=out_and_in(pair))


def out_and_in(pair: LoraPair) -> tuple[int, int]:
    """Return out × in of ΔW, of one expert if there are experts."""
    return pair.b.shape[-2], pair.a.shape[-1]


def expert_count(target: Target, base: BaseModel) -> int:
    """Return how many experts a weight of the base has, or 0 if that is unknown."""
    shape = (base.tensors or {}).get(target.tensor, ())
    return shape[0] if len(shape) == 3 else base.hparams.experts


def matrix_shape(target: Target, base: BaseModel) -> tuple[int, int]:
    """Return out × in of one matrix of a tensor; a size is 0 if it is unknown."""
    out, width = (dimension(size, base.hparams) for size in target.weight.shape)
    shape = (base.tensors or {}).get(target.tensor, ())
    if len(shape) >= MATRIX_NDIM:
        out, width = shape[-2:]
    return (width, out) if target.weight.kind is Kind.EMBEDDING else (out, width)


def vocabulary_error(aim: Candidate) -> str:
    """Return how the vocabularies differ if nothing else does, or ""."""
    if not aim.target.weight.optional:
        return ""
    embedding = aim.target.weight.kind is Kind.EMBEDDING
    rest, tokens = aim.shape[:: 1 if embedding else -1]
    wanted_rest, wanted_tokens = aim.expected[:: 1 if embedding else -1]
    if rest != wanted_rest or wanted_tokens in (0, tokens):
        return ""
    return f"{aim.pair.module}: the adapter has {tokens} tokens, the base has {wanted_tokens}"


def shape_error(aim: Candidate, view: BaseView) -> str:
    """Return why a pair does not fit its weight in the base, or "" if it does."""
    base, target = aim.base, aim.target
    if base.tensors is None and target.block >= base.hparams.blocks:
        return f"the last layer of the base is {base.hparams.blocks - 1}"
    if base.tensors is not None and target.tensor not in base.tensors:
        return f"the base has no {target.tensor}"
    if base.tensors is not None and len(base.tensors[target.tensor]) < MATRIX_NDIM:
        return f"{target.tensor} is not a matrix in the base"
    wanted = aim.expected[0] or aim.shape[0], aim.expected[1] or aim.shape[1]
    if aim.shape != wanted:
        return f"the adapter expects {times_text(aim.shape)}, the base has {times_text(wanted)}"
    return _expert_count_error(aim) or view.permutation_error(aim)


def _expert_count_error(aim: Candidate) -> str:
    """Return why a pair has more or fewer experts than the base, or "" if it has as many."""
    target, stack = aim.target, aim.pair.a.shape[:-2]
    stacked = target.weight.has_experts and target.expert < 0
    if len(stack) != stacked:
        return f"A and B have {len(stack) + 2} dimensions, {target.tensor} takes {stacked + 2}"
    experts = expert_count(target, aim.base)
    if (stack and experts and stack[0] != experts) or target.expert >= experts > 0:
        return (
            f"the adapter expects {stack[0] if stack else target.expert + 1} experts, the base has {experts}"
        )
    return ""


def _permutation_error(aim: Candidate, view: BaseView) -> str:
    """Return why rows or columns cannot be put in order, or "" if they can.

    A header that lies about its heads would make an order that does not take each row once. No order is
    made before its length is known to be right, because such a header may claim any number.
    """
    weights = [target.weight for target in aim.module_targets]
    scaled = any(weight.scale and weight.kind is not Kind.EMBEDDING for weight in weights)
    sides = (
        ("rows", aim.shape[0], [(weight.rows, weight.shape[0]) for weight in weights]),
        ("columns", aim.shape[1], [(aim.target.weight.columns, aim.target.weight.shape[1])]),
    )
    for side, trained, parts in sides:
        orders = [order for order, _ in parts if order is not None]
        if not orders and not (scaled and side == "rows"):
            continue
        sizes = [dimension(name, aim.base.hparams) for _, name in parts]
        told = all(sizes) or not any(name.startswith(PERMUTED_DIMENSIONS) for _, name in parts)
        if not told or (all(sizes) and sum(sizes) != trained):
            heads = f"{sum(sizes)} {side} in heads of {aim.base.hparams.head_dim}"
            return f"the adapter expects {trained} {side}, the base has {heads}"
        taken = sorted(row for order in orders for row in view.permutation(order, aim.base, trained))
        if orders and taken != list(range(trained)):
            return f"the {trained} {side} cannot be divided into heads of {aim.base.hparams.head_dim}"
    return ""


def times_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return "×".join(map(str, shape))
