"""MAP  the pairs of an adapter → the tensors of a base, or the rule that keeps one from having a place.

A place is where one pair, or those of one stack of experts, end up: the name of the tensor, the pair as it
fits there, and the order of B's rows. Both the plan of a file and its proof start from here. Everything is
checked against the tensors as the row of the architecture names them; only then is it laid out as this base
has them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollama_pack.archs import Arch, Kind, Target, dimension, find_targets
from ollama_pack.errors import InputError, listing
from ollama_pack.factors import columns_taken, rows_scaled
from ollama_pack.fates import Findings
from ollama_pack.pairs import flipped, narrowed, stack_pairs
from ollama_pack.parts import Adapter, Base, LoraPair
from ollama_pack.relaying import MATRIX, Place, as_row, laid_out

CUTS_COLUMNS = "VeRA"
"""The method whose A is as wide as its widest weight; the others use a part of it."""

MADE_OF_HEADS = ("heads", "kv_heads", "gated_heads", "qkv", "ssm")
"""How sizes begin by which orders are made: none is, where one of them is unknown."""

SWAPS_BEFORE = (0, 19)
"""Versions of PEFT before this one took experts stored out × in for in × out."""


@dataclass(frozen=True, slots=True)
class _Aim:
    """A pair on its way to one tensor.

    Attributes:
        pair: the way round that the base has its weight.
        target: where it goes.
        beside: every target of its module, itself among them; a fused module has several.
        base: as the target's block has it.
    """

    pair: LoraPair
    target: Target
    beside: tuple[Target, ...]
    base: Base

    @property
    def trained(self) -> tuple[int, int]:
        """Return out × in of ΔW; of one expert."""
        return self.pair.b.shape[-2], self.pair.a.shape[-1]


def place_pairs(adapter: Adapter, base: Base, arch: Arch) -> tuple[Place, ...]:
    """Return where every pair of an adapter goes in a file for this base.

    Raises:
        InputError: shapes or block numbers disagree with the base.
        UnsupportedError: a pair has no place, or llama.cpp would not apply it.
    """
    findings = Findings(adapter.weights)
    seen = as_row(base, arch)
    aims = [_fitted(aim, adapter) for aim in _aim(adapter, seen, arch, findings)]
    findings.require_none()
    misfits: list[str] = []
    _find_twins(aims, findings)
    for aim in aims:
        if resized := _resized(aim):
            findings.add("resized", resized)
        elif misfit := _misfit(aim):
            misfits.append(f"{aim.pair.module}: {misfit}")
    findings.require_none()
    misfits += _uneven_stacks(aims)
    if misfits:
        raise InputError(
            listing(f"The adapter does not fit the base ({base.origin}):", misfits),
            where=adapter.weights,
            hint="--base with the model the adapter was trained on; adapter_config.json names "
            + (adapter.base_id or "none"),
        )
    return tuple(laid_out([_place(aim) for aim in _stacked(aims)], base, seen))


def _place(aim: _Aim) -> Place:
    weight, pair = aim.target.weight, aim.pair
    rows, columns = aim.trained
    a, b = pair.a, pair.b
    if weight.columns is not None:
        a = columns_taken(a, weight.columns(aim.base, columns))
    if weight.scale is not None:
        b = rows_scaled(b, weight.scale(aim.base, rows))
    order = None if weight.rows is None else weight.rows(aim.base, rows)
    return Place(aim.target.tensor, replace(pair, a=a, b=b), order, weight.kind)


def _uneven_stacks(aims: Sequence[_Aim]) -> Iterator[str]:
    """Yield which single experts of one weight differ in their size, which a base may not tell."""
    sizes: dict[str, tuple[int, int]] = {}
    for aim in aims:
        size = sizes.setdefault(aim.target.tensor, aim.trained)
        if aim.target.expert >= 0 and size != aim.trained:
            yield f"{aim.pair.module}: {_times(aim.trained)} adapts, {_times(size)} in another expert"


def _find_twins(aims: Sequence[_Aim], findings: Findings) -> None:
    """Find modules that are one weight under two names; single experts of one weight are none."""
    taken: dict[str, dict[int, LoraPair]] = {}
    for aim in aims:
        pair, expert = aim.pair, aim.target.expert
        others = taken.setdefault(aim.target.tensor, {})
        clash = [each for number, each in others.items() if expert in (number, -1) or number == -1]
        if clash:
            alone = clash[0].a.path == pair.a.path  # the pairs of a sum are of several files
            findings.add("twice" if alone else "sum-apart", f"{clash[0].module} and {pair.module}")
        others[expert] = pair


def _aim(adapter: Adapter, base: Base, arch: Arch, findings: Findings) -> Iterator[_Aim]:
    """Yield each pair with each tensor it goes into."""
    for pair in adapter.pairs:
        targets = find_targets(arch, pair.module, mixture=base.experts > 0)
        if not targets:
            findings.add("no-place", pair.module)
        for target in targets:
            own = base.of_block(target.block)
            rule = _why_not(target, own)
            if rule:
                findings.add(rule, pair.module)
            else:
                yield _Aim(pair, target, targets, own)


def _why_not(target: Target, base: Base) -> str:
    """Return the rule that keeps LoRA from a weight of this base, empty where none does."""
    if target.weight.refused:
        return target.weight.refused
    if target.weight.scale is not None and not base.multipliers:
        return "multipliers"
    if target.weight.needs_states and not base.ssm.heads:
        return "states-unknown"
    if target.weight.optional:
        tied = base.tied if base.tensors is None else "output.weight" not in base.tensors
        if tied or tied is None:
            return "maybe-tied" if tied is None else "tied"
    if target.expert >= 0 and not _experts(target, base):
        return "experts-unknown"
    return ""


def _experts(target: Target, base: Base) -> int:
    """Return how many experts a weight of the base has, 0 where that is unknown."""
    shape = (base.tensors or {}).get(target.tensor, ())
    return shape[0] if len(shape) == 3 else base.experts


def _wanted(aim: _Aim) -> tuple[int, int]:
    """Return out × in of one matrix that B·A must have, 0 where it is unknown."""
    sizes = [_size(target, aim.base) for target in aim.beside]
    out, width = sum(out for out, _ in sizes), sizes[0][1]
    return (out if all(out for out, _ in sizes) else 0), width


def _size(target: Target, base: Base) -> tuple[int, int]:
    """Return out × in of one matrix of a tensor, 0 where it is unknown."""
    out, width = (dimension(size, base) for size in target.weight.shape)
    shape = (base.tensors or {}).get(target.tensor, ())
    if len(shape) >= MATRIX:
        out, width = shape[-2:]
    return (width, out) if target.weight.kind is Kind.EMBEDDING else (out, width)


def _fitted(aim: _Aim, adapter: Adapter) -> _Aim:
    """Return a pair the way round that the base has its weight, and no wider."""
    out, width = _wanted(aim)
    kind, trained = aim.target.weight.kind, aim.trained
    if adapter.method == CUTS_COLUMNS and 0 < width < trained[1]:
        return replace(aim, pair=narrowed(aim.pair, width))
    if kind is Kind.LINEAR or aim.target.expert >= 0 or trained[::-1] != (out, width):
        return aim
    turned = kind is Kind.EXPERTS_TURNED or (kind is Kind.EXPERTS and _swaps(adapter.config))
    if trained == (out, width) and not turned:  # square
        return aim
    return replace(aim, pair=flipped(aim.pair))


def _swaps(config: Mapping[str, Any]) -> bool:
    """Return whether the PEFT that saved the adapter took out × in for in × out."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return bool(config.get("target_parameters")) and (
        version is not None and (int(version[1]), int(version[2])) < SWAPS_BEFORE
    )


def _resized(aim: _Aim) -> str:
    """Return what differs where only the vocabulary does, empty elsewhere."""
    if not aim.target.weight.optional:
        return ""
    embedding = aim.target.weight.kind is Kind.EMBEDDING
    rest, tokens = aim.trained[:: 1 if embedding else -1]
    wanted_rest, wanted_tokens = _wanted(aim)[:: 1 if embedding else -1]
    if rest != wanted_rest or wanted_tokens in (0, tokens):
        return ""
    return f"{aim.pair.module}: {tokens} tokens adapt, {wanted_tokens} are in the base"


def _misfit(aim: _Aim) -> str:
    """Return why a pair does not fit its weight in the base, empty where it does."""
    base, target = aim.base, aim.target
    if base.tensors is None and target.block >= base.blocks:
        return f"the base has {base.blocks} blocks"
    if base.tensors is not None and target.tensor not in base.tensors:
        return f"the base has no {target.tensor}"
    if base.tensors is not None and len(base.tensors[target.tensor]) < MATRIX:
        return f"{target.tensor} is no matrix in the base"
    wanted = tuple(size or real for size, real in zip(_wanted(aim), aim.trained, strict=True))
    if aim.trained != wanted:
        return f"{_times(aim.trained)} adapts, {_times(wanted)} is in the base"
    return _misfit_of_experts(aim) or _misfit_of_order(aim)


def _misfit_of_experts(aim: _Aim) -> str:
    """Return why there are more or fewer experts than the base has, empty where there are not."""
    target, stack = aim.target, aim.pair.a.shape[:-2]
    if len(stack) != (target.weight.has_experts and target.expert < 0):
        return f"{len(stack) + 2} dimensions adapt {target.tensor}"
    experts = _experts(target, aim.base)
    if (stack and experts and stack[0] != experts) or target.expert >= experts > 0:
        return f"{stack[0] if stack else target.expert + 1} experts adapt, {experts} are in the base"
    return ""


def _misfit_of_order(aim: _Aim) -> str:
    """Return why rows or columns cannot be put in order, empty where they can.

    A header that lies about its heads would make an order that does not take each row once. No order is
    made before its length is known to be right: such a header may tell any number.
    """
    weights = [target.weight for target in aim.beside]
    scaled = any(weight.scale and weight.kind is not Kind.EMBEDDING for weight in weights)
    sides = (
        ("rows", aim.trained[0], [(weight.rows, weight.shape[0]) for weight in weights]),
        ("columns", aim.trained[1], [(aim.target.weight.columns, aim.target.weight.shape[1])]),
    )
    for side, trained, parts in sides:
        orders = [order for order, _ in parts if order is not None]
        if not orders and not (scaled and side == "rows"):
            continue
        sizes = [dimension(name, aim.base) for _, name in parts]
        told = all(sizes) or not any(name.startswith(MADE_OF_HEADS) for _, name in parts)
        if not told or (all(sizes) and sum(sizes) != trained):
            heads = f"{sum(sizes)} {side} in heads of {aim.base.head_dim}"
            return f"{trained} {side} adapt, {heads} are in the base"
        taken = sorted(row for order in orders for row in order(aim.base, trained))
        if orders and taken != list(range(trained)):
            return f"{trained} {side} adapt, which cannot be shared out in heads of {aim.base.head_dim}"
    return ""


def _stacked(aims: Sequence[_Aim]) -> Iterator[_Aim]:
    """Yield pairs and tensors, those of single experts together as one, where the first of them stood."""
    stacks: dict[str, dict[int, LoraPair]] = {}
    for aim in aims:
        if aim.target.expert >= 0:
            stacks.setdefault(aim.target.tensor, {})[aim.target.expert] = aim.pair
    for aim in aims:
        if aim.target.expert < 0:
            yield aim
        elif stack := stacks.pop(aim.target.tensor, {}):
            yield replace(aim, pair=stack_pairs(stack, _experts(aim.target, aim.base)))


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
