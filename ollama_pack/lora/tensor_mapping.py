"""Map the pairs of an adapter to the tensors of a base, or name the rule that keeps one from having a place.

A slot is where one pair ends up, or all pairs of one stack of experts: the name of the tensor, the pair as it
fits there, and the order of the rows of B. Everything is checked against the tensors as the table of
architectures names them; only then is it laid out as this base has them.

A mixture with single experts has tens of thousands of pairs for a few hundred tensors, so whatever depends on
the tensor alone is worked out once (`_BaseView`), and no step compares pairs with each other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollama_pack.arch.spec import Arch, Kind, Permutation, PermutationFn, Target, dimension, find_targets
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, bullet_list
from ollama_pack.gguf.tensors import MATRIX_NDIM
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.algebra import scale_rows, take_columns
from ollama_pack.lora.fused_tensors import TensorSlot, as_table_names, to_base_layout
from ollama_pack.lora.pairs import slice_columns, stack_pairs, transpose_pair
from ollama_pack.lora.rules import RuleViolations

SHARED_A_METHOD = "VeRA"
"""The method that shares one A among all weights; a narrower weight uses the first columns of it."""

PERMUTED_DIMENSIONS = ("heads", "kv_heads", "gated_heads", "qkv", "ssm")
"""Prefixes of the sizes that permutations depend on; if such a size is unknown, none is attempted."""

PEFT_FIXED_EXPERT_LAYOUT_IN = (0, 19)
"""First version of PEFT that reads expert weights as out × in; older adapters hold the transposed factors."""


class _BaseView:
    """The base as the modules of an adapter ask about it; each answer is worked out once.

    Modules that differ in the number of their expert alone get the same answers.

    Args:
        base: the base, with its tensors under the names of the table of architectures.
    """

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self._layers: dict[int, BaseModel] = {}
        self._shapes: dict[tuple[str, int], tuple[int, int]] = {}
        self._orders: dict[tuple[PermutationFn, int, int], Permutation] = {}
        self._faults: dict[tuple[str, int, tuple[int, int]], str] = {}

    def layer(self, block: int) -> BaseModel:
        """Return the base with the heads of one block."""
        if block not in self._layers:
            self._layers[block] = self.base.at_layer(block)
        return self._layers[block]

    def expected_shape(self, targets: Sequence[Target]) -> tuple[int, int]:
        """Return out × in of the matrix that B·A of a module must have; a size is 0 if it is unknown."""
        key = (targets[0].weight.module, targets[0].block)
        if key not in self._shapes:
            sizes = [_matrix_shape(target, self.layer(target.block)) for target in targets]
            rows = sum(out for out, _ in sizes) if all(out for out, _ in sizes) else 0
            self._shapes[key] = rows, sizes[0][1]
        return self._shapes[key]

    def permutation(self, order: PermutationFn, base: BaseModel, count: int) -> Permutation:
        """Return the order in which a tensor takes `count` rows or columns."""
        key = (order, id(base.hparams), count)  # the bases live as long as this view
        if key not in self._orders:
            self._orders[key] = order(base.hparams, count)
        return self._orders[key]

    def permutation_error(self, aim: "_Candidate") -> str:
        """Return why the rows or columns of a pair cannot be put in order, or "" if they can."""
        key = (aim.target.weight.module, id(aim.base.hparams), aim.shape)
        if key not in self._faults:
            self._faults[key] = _permutation_error(aim, self)
        return self._faults[key]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A pair on its way to one tensor.

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

    def with_pair(self, pair: LoraPair) -> "_Candidate":
        """Return the same way with another pair on it."""
        return replace(self, pair=pair, shape=_shape_of(pair))


def _shape_of(pair: LoraPair) -> tuple[int, int]:
    """Return out × in of ΔW, of one expert if there are experts."""
    return pair.b.shape[-2], pair.a.shape[-1]


def map_pairs_to_tensors(adapter: Adapter, base: BaseModel, arch: Arch) -> tuple[TensorSlot, ...]:
    """Return where every pair of an adapter goes in a file for this base.

    Modules are named, and the adapter refused, for everything that is wrong with them at once.

    Raises:
        InputError: shapes or block numbers disagree with the base.
        UnsupportedError: a pair has no place, or llama.cpp would not apply it.
    """
    findings = RuleViolations(adapter.weights)
    seen = as_table_names(base, arch)
    view = _BaseView(seen)
    aims = [_orient(aim, adapter) for aim in _candidates(adapter, view, arch, findings)]
    findings.raise_if_any()
    misfits: list[str] = []
    _find_duplicate_targets(aims, findings)
    for aim in aims:
        if resized := _vocabulary_error(aim):
            findings.add("resized", resized)
        elif misfit := _shape_error(aim, view):
            misfits.append(f"{aim.pair.module}: {misfit}")
    findings.raise_if_any()
    misfits += _uneven_stacks(aims)
    if misfits:
        raise InputError(
            bullet_list(f"The adapter does not fit the base ({base.origin}):", misfits),
            where=adapter.weights,
            hint="--base with the model the adapter was trained on; adapter_config.json names "
            + (adapter.base_id or "none"),
        )
    return tuple(to_base_layout([_slot(aim, view) for aim in _stack_experts(aims)], base, seen))


def _slot(aim: _Candidate, view: _BaseView) -> TensorSlot:
    """Return the slot of a pair that fits, with its columns in order and its rows scaled."""
    weight, pair = aim.target.weight, aim.pair
    rows, columns = aim.shape
    a, b = pair.a, pair.b
    if weight.columns is not None:
        a = take_columns(a, view.permutation(weight.columns, aim.base, columns))
    if weight.scale is not None:
        b = scale_rows(b, weight.scale(aim.base.hparams, rows))
    order = None if weight.rows is None else view.permutation(weight.rows, aim.base, rows)
    return TensorSlot(aim.target.tensor, replace(pair, a=a, b=b), order, weight.kind)


def _uneven_stacks(aims: Sequence[_Candidate]) -> Iterator[str]:
    """Yield the single experts that differ in size from another of their weight; a base may not tell sizes."""
    sizes: dict[str, tuple[int, int]] = {}
    for aim in aims:
        size = sizes.setdefault(aim.target.tensor, aim.shape)
        if aim.target.expert >= 0 and size != aim.shape:
            shapes = f"{_shape_text(aim.shape)} adapts, {_shape_text(size)} in another expert"
            yield f"{aim.pair.module}: {shapes}"


def _find_duplicate_targets(aims: Sequence[_Candidate], findings: RuleViolations) -> None:
    """Find modules that are one weight under two names. Several single experts share a tensor rightly."""
    taken: dict[str, dict[int, LoraPair]] = {}
    for aim in aims:
        pair, expert = aim.pair, aim.target.expert
        others = taken.setdefault(aim.target.tensor, {})
        clash = None
        if others and (expert == -1 or expert in others or -1 in others):
            clash = next(each for number, each in others.items() if expert in (number, -1) or number == -1)
        if clash is not None:
            alone = clash.a.path == pair.a.path  # the pairs of a sum are of several files
            findings.add("twice" if alone else "sum-apart", f"{clash.module} and {pair.module}")
        others[expert] = pair


def _candidates(
    adapter: Adapter, view: _BaseView, arch: Arch, findings: RuleViolations
) -> Iterator[_Candidate]:
    """Yield each pair with each tensor it goes into."""
    mixture = view.base.hparams.experts > 0
    for pair in adapter.pairs:
        targets = find_targets(arch, pair.module, mixture=mixture)
        if not targets:
            findings.add("no-place", pair.module)
        for target in targets:
            own = view.layer(target.block)
            rule = _unsupported_rule(target, own)
            if rule:
                findings.add(rule, pair.module)
            else:
                yield _Candidate(pair, target, targets, own, view.expected_shape(targets), _shape_of(pair))


def _unsupported_rule(target: Target, base: BaseModel) -> str:
    """Return the rule that keeps LoRA from a weight of this base, or "" if there is none."""
    if target.weight.unsupported:
        return target.weight.unsupported
    if target.weight.scale is not None and not base.hparams.multipliers:
        return "multipliers"
    if target.weight.needs_ssm_sizes and not base.hparams.ssm.heads:
        return "states-unknown"
    if target.weight.optional:
        tied = base.hparams.tied if base.tensors is None else "output.weight" not in base.tensors
        if tied or tied is None:
            return "maybe-tied" if tied is None else "tied"
    if target.expert >= 0 and not _experts(target, base):
        return "experts-unknown"
    return ""


def _experts(target: Target, base: BaseModel) -> int:
    """Return how many experts a weight of the base has, or 0 if that is unknown."""
    shape = (base.tensors or {}).get(target.tensor, ())
    return shape[0] if len(shape) == 3 else base.hparams.experts


def _matrix_shape(target: Target, base: BaseModel) -> tuple[int, int]:
    """Return out × in of one matrix of a tensor; a size is 0 if it is unknown."""
    out, width = (dimension(size, base.hparams) for size in target.weight.shape)
    shape = (base.tensors or {}).get(target.tensor, ())
    if len(shape) >= MATRIX_NDIM:
        out, width = shape[-2:]
    return (width, out) if target.weight.kind is Kind.EMBEDDING else (out, width)


def _orient(aim: _Candidate, adapter: Adapter) -> _Candidate:
    """Return the pair transposed if the base stores its weight that way, and cut to the width of the weight."""
    out, width = aim.expected
    kind, trained = aim.target.weight.kind, aim.shape
    if adapter.method == SHARED_A_METHOD and 0 < width < trained[1]:
        return aim.with_pair(slice_columns(aim.pair, width))
    if kind is Kind.LINEAR or aim.target.expert >= 0 or trained[::-1] != (out, width):
        return aim
    turned = kind is Kind.EXPERTS_TRANSPOSED or (kind is Kind.EXPERTS and _swaps(adapter.config))
    if trained == (out, width) and not turned:  # square
        return aim
    return aim.with_pair(transpose_pair(aim.pair))


def _swaps(config: Mapping[str, Any]) -> bool:
    """Return whether the PEFT that saved the adapter took out × in for in × out."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return bool(config.get("target_parameters")) and (
        version is not None and (int(version[1]), int(version[2])) < PEFT_FIXED_EXPERT_LAYOUT_IN
    )


def _vocabulary_error(aim: _Candidate) -> str:
    """Return how the vocabularies differ if nothing else does, or ""."""
    if not aim.target.weight.optional:
        return ""
    embedding = aim.target.weight.kind is Kind.EMBEDDING
    rest, tokens = aim.shape[:: 1 if embedding else -1]
    wanted_rest, wanted_tokens = aim.expected[:: 1 if embedding else -1]
    if rest != wanted_rest or wanted_tokens in (0, tokens):
        return ""
    return f"{aim.pair.module}: {tokens} tokens adapt, {wanted_tokens} are in the base"


def _shape_error(aim: _Candidate, view: _BaseView) -> str:
    """Return why a pair does not fit its weight in the base, or "" if it does."""
    base, target = aim.base, aim.target
    if base.tensors is None and target.block >= base.hparams.blocks:
        return f"the base has {base.hparams.blocks} blocks"
    if base.tensors is not None and target.tensor not in base.tensors:
        return f"the base has no {target.tensor}"
    if base.tensors is not None and len(base.tensors[target.tensor]) < MATRIX_NDIM:
        return f"{target.tensor} is no matrix in the base"
    wanted = aim.expected[0] or aim.shape[0], aim.expected[1] or aim.shape[1]
    if aim.shape != wanted:
        return f"{_shape_text(aim.shape)} adapts, {_shape_text(wanted)} is in the base"
    return _expert_count_error(aim) or view.permutation_error(aim)


def _expert_count_error(aim: _Candidate) -> str:
    """Return why a pair has more or fewer experts than the base, or "" if it has as many."""
    target, stack = aim.target, aim.pair.a.shape[:-2]
    if len(stack) != (target.weight.has_experts and target.expert < 0):
        return f"{len(stack) + 2} dimensions adapt {target.tensor}"
    experts = _experts(target, aim.base)
    if (stack and experts and stack[0] != experts) or target.expert >= experts > 0:
        return f"{stack[0] if stack else target.expert + 1} experts adapt, {experts} are in the base"
    return ""


def _permutation_error(aim: _Candidate, view: _BaseView) -> str:
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
            return f"{trained} {side} adapt, {heads} are in the base"
        taken = sorted(row for order in orders for row in view.permutation(order, aim.base, trained))
        if orders and taken != list(range(trained)):
            return (
                f"{trained} {side} adapt, which cannot be shared out in heads of {aim.base.hparams.head_dim}"
            )
    return ""


def _stack_experts(aims: Sequence[_Candidate]) -> Iterator[_Candidate]:
    """Yield all candidates, the single experts of one tensor joined, at the place of the first of them."""
    stacks: dict[str, dict[int, LoraPair]] = {}
    for aim in aims:
        if aim.target.expert >= 0:
            stacks.setdefault(aim.target.tensor, {})[aim.target.expert] = aim.pair
    for aim in aims:
        if aim.target.expert < 0:
            yield aim
        elif stack := stacks.pop(aim.target.tensor, {}):
            yield aim.with_pair(stack_pairs(stack, _experts(aim.target, aim.base)))


def _shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return "×".join(map(str, shape))
