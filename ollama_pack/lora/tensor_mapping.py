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

from ollama_pack.arch.spec import Arch, Kind, Target, dimension, find_targets
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, bullet_list
from ollama_pack.gguf.tensors import MATRIX_NDIM
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.algebra import scale_rows, take_columns
from ollama_pack.lora.fused_tensors import TensorSlot, as_table_names, to_base_layout
from ollama_pack.lora.pairs import slice_columns, stack_pairs, transpose_pair
from ollama_pack.lora.rules import RuleViolations

SHARED_A_METHOD = "VeRA"
"""The method whose A is as wide as its widest weight; the others use a part of it."""

PERMUTED_DIMENSIONS = ("heads", "kv_heads", "gated_heads", "qkv", "ssm")
"""How sizes begin by which orders are made: none is, where one of them is unknown."""

PEFT_FIXED_EXPERT_LAYOUT_IN = (0, 19)
"""Versions of PEFT before this one took experts stored out × in for in × out."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A pair on its way to one tensor.

    Attributes:
        pair: the way round that the base has its weight.
        target: where it goes.
        module_targets: every target of its module, itself among them; a fused module has several.
        base: as the target's block has it.
    """

    pair: LoraPair
    target: Target
    module_targets: tuple[Target, ...]
    base: BaseModel

    @property
    def shape(self) -> tuple[int, int]:
        """Return out × in of ΔW; of one expert."""
        return self.pair.b.shape[-2], self.pair.a.shape[-1]


def map_pairs_to_tensors(adapter: Adapter, base: BaseModel, arch: Arch) -> tuple[TensorSlot, ...]:
    """Return where every pair of an adapter goes in a file for this base.

    Raises:
        InputError: shapes or block numbers disagree with the base.
        UnsupportedError: a pair has no place, or llama.cpp would not apply it.
    """
    findings = RuleViolations(adapter.weights)
    seen = as_table_names(base, arch)
    aims = [_orient(aim, adapter) for aim in _candidates(adapter, seen, arch, findings)]
    findings.raise_if_any()
    misfits: list[str] = []
    _find_duplicate_targets(aims, findings)
    for aim in aims:
        if resized := _vocabulary_error(aim):
            findings.add("resized", resized)
        elif misfit := _shape_error(aim):
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
    return tuple(to_base_layout([_slot(aim) for aim in _stack_experts(aims)], base, seen))


def _slot(aim: _Candidate) -> TensorSlot:
    weight, pair = aim.target.weight, aim.pair
    rows, columns = aim.shape
    a, b = pair.a, pair.b
    if weight.columns is not None:
        a = take_columns(a, weight.columns(aim.base.hparams, columns))
    if weight.scale is not None:
        b = scale_rows(b, weight.scale(aim.base.hparams, rows))
    order = None if weight.rows is None else weight.rows(aim.base.hparams, rows)
    return TensorSlot(aim.target.tensor, replace(pair, a=a, b=b), order, weight.kind)


def _uneven_stacks(aims: Sequence[_Candidate]) -> Iterator[str]:
    """Yield which single experts of one weight differ in their size, which a base may not tell."""
    sizes: dict[str, tuple[int, int]] = {}
    for aim in aims:
        size = sizes.setdefault(aim.target.tensor, aim.shape)
        if aim.target.expert >= 0 and size != aim.shape:
            shapes = f"{_shape_text(aim.shape)} adapts, {_shape_text(size)} in another expert"
            yield f"{aim.pair.module}: {shapes}"


def _find_duplicate_targets(aims: Sequence[_Candidate], findings: RuleViolations) -> None:
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


def _candidates(
    adapter: Adapter, base: BaseModel, arch: Arch, findings: RuleViolations
) -> Iterator[_Candidate]:
    """Yield each pair with each tensor it goes into."""
    for pair in adapter.pairs:
        targets = find_targets(arch, pair.module, mixture=base.hparams.experts > 0)
        if not targets:
            findings.add("no-place", pair.module)
        for target in targets:
            own = base.at_layer(target.block)
            rule = _unsupported_rule(target, own)
            if rule:
                findings.add(rule, pair.module)
            else:
                yield _Candidate(pair, target, targets, own)


def _unsupported_rule(target: Target, base: BaseModel) -> str:
    """Return the rule that keeps LoRA from a weight of this base, empty where none does."""
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
    """Return how many experts a weight of the base has, 0 where that is unknown."""
    shape = (base.tensors or {}).get(target.tensor, ())
    return shape[0] if len(shape) == 3 else base.hparams.experts


def _expected_shape(aim: _Candidate) -> tuple[int, int]:
    """Return out × in of one matrix that B·A must have, 0 where it is unknown."""
    sizes = [_matrix_shape(target, aim.base) for target in aim.module_targets]
    out, width = sum(out for out, _ in sizes), sizes[0][1]
    return (out if all(out for out, _ in sizes) else 0), width


def _matrix_shape(target: Target, base: BaseModel) -> tuple[int, int]:
    """Return out × in of one matrix of a tensor, 0 where it is unknown."""
    out, width = (dimension(size, base.hparams) for size in target.weight.shape)
    shape = (base.tensors or {}).get(target.tensor, ())
    if len(shape) >= MATRIX_NDIM:
        out, width = shape[-2:]
    return (width, out) if target.weight.kind is Kind.EMBEDDING else (out, width)


def _orient(aim: _Candidate, adapter: Adapter) -> _Candidate:
    """Return a pair the way round that the base has its weight, and no wider."""
    out, width = _expected_shape(aim)
    kind, trained = aim.target.weight.kind, aim.shape
    if adapter.method == SHARED_A_METHOD and 0 < width < trained[1]:
        return replace(aim, pair=slice_columns(aim.pair, width))
    if kind is Kind.LINEAR or aim.target.expert >= 0 or trained[::-1] != (out, width):
        return aim
    turned = kind is Kind.EXPERTS_TRANSPOSED or (kind is Kind.EXPERTS and _swaps(adapter.config))
    if trained == (out, width) and not turned:  # square
        return aim
    return replace(aim, pair=transpose_pair(aim.pair))


def _swaps(config: Mapping[str, Any]) -> bool:
    """Return whether the PEFT that saved the adapter took out × in for in × out."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return bool(config.get("target_parameters")) and (
        version is not None and (int(version[1]), int(version[2])) < PEFT_FIXED_EXPERT_LAYOUT_IN
    )


def _vocabulary_error(aim: _Candidate) -> str:
    """Return what differs where only the vocabulary does, empty elsewhere."""
    if not aim.target.weight.optional:
        return ""
    embedding = aim.target.weight.kind is Kind.EMBEDDING
    rest, tokens = aim.shape[:: 1 if embedding else -1]
    wanted_rest, wanted_tokens = _expected_shape(aim)[:: 1 if embedding else -1]
    if rest != wanted_rest or wanted_tokens in (0, tokens):
        return ""
    return f"{aim.pair.module}: {tokens} tokens adapt, {wanted_tokens} are in the base"


def _shape_error(aim: _Candidate) -> str:
    """Return why a pair does not fit its weight in the base, empty where it does."""
    base, target = aim.base, aim.target
    if base.tensors is None and target.block >= base.hparams.blocks:
        return f"the base has {base.hparams.blocks} blocks"
    if base.tensors is not None and target.tensor not in base.tensors:
        return f"the base has no {target.tensor}"
    if base.tensors is not None and len(base.tensors[target.tensor]) < MATRIX_NDIM:
        return f"{target.tensor} is no matrix in the base"
    wanted = tuple(size or real for size, real in zip(_expected_shape(aim), aim.shape, strict=True))
    if aim.shape != wanted:
        return f"{_shape_text(aim.shape)} adapts, {_shape_text(wanted)} is in the base"
    return _expert_count_error(aim) or _permutation_error(aim)


def _expert_count_error(aim: _Candidate) -> str:
    """Return why there are more or fewer experts than the base has, empty where there are not."""
    target, stack = aim.target, aim.pair.a.shape[:-2]
    if len(stack) != (target.weight.has_experts and target.expert < 0):
        return f"{len(stack) + 2} dimensions adapt {target.tensor}"
    experts = _experts(target, aim.base)
    if (stack and experts and stack[0] != experts) or target.expert >= experts > 0:
        return f"{stack[0] if stack else target.expert + 1} experts adapt, {experts} are in the base"
    return ""


def _permutation_error(aim: _Candidate) -> str:
    """Return why rows or columns cannot be put in order, empty where they can.

    A header that lies about its heads would make an order that does not take each row once. No order is
    made before its length is known to be right: such a header may tell any number.
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
        taken = sorted(row for order in orders for row in order(aim.base.hparams, trained))
        if orders and taken != list(range(trained)):
            return (
                f"{trained} {side} adapt, which cannot be shared out in heads of {aim.base.hparams.head_dim}"
            )
    return ""


def _stack_experts(aims: Sequence[_Candidate]) -> Iterator[_Candidate]:
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


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
