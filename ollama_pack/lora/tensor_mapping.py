"""Map the pairs of an adapter to the tensors of a base, or name the rule that keeps one from having a place.

A slot is where one pair ends up, or all pairs of one stack of experts: the name of the tensor, the pair as it
fits there, and the order of the rows of B. Everything is checked against the tensors as the table of
architectures names them; only then is it laid out as this base has them.

A mixture with single experts has tens of thousands of pairs for a few hundred tensors, so whatever depends on
the tensor alone is worked out once (`BaseView`), and no step compares pairs with each other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ollama_pack.arch.spec import Arch, Kind, Target, find_targets
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, bullet_list, fold_by_reason
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.algebra import scale_rows, take_columns
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.fused_tensors import TensorSlot, as_table_names, to_base_layout
from ollama_pack.lora.pairs import fitted_pair, stack_pairs, transpose_pair
from ollama_pack.lora.shape_check import (
    BaseView,
    Candidate,
    expert_count,
    out_and_in,
    shape_error,
    times_text,
    vocabulary_error,
)
from ollama_pack.lora.unsupported import RuleViolations

PEFT_FIXED_EXPERT_LAYOUT_IN = (0, 19)
"""First version of PEFT that reads expert weights as out × in; older adapters hold the transposed factors."""


def map_pairs_to_tensors(adapter: Adapter, base: BaseModel, arch: Arch) -> tuple[TensorSlot, ...]:
    """Return the slot of every pair of an adapter in a LoRA file for this base.

    Args:
        adapter: the pairs, with A rank × in and B out × rank, or a stack of them with experts in front.
        base: the sizes of the base, and the shapes of its tensors if they are known.
        arch: the architecture of the base.

    One error names everything that is wrong with the modules.

    Raises:
        InputError: a shape, a layer or a number of experts does not match the base.
        UnsupportedError: no tensor takes a pair, or llama.cpp would not apply it as PEFT does.
    """
    findings = RuleViolations(adapter.weights)
    seen = as_table_names(base, arch)
    view = BaseView(seen)
    aims = [
        oriented
        for aim in _candidates(adapter, view, arch, findings)
        for oriented in _oriented(aim, adapter, findings)
    ]
    findings.raise_if_any()
    misfits: list[tuple[str, str]] = []
    _find_duplicate_targets(aims, findings)
    for aim in aims:
        if resized := vocabulary_error(aim):
            findings.add("resized", resized)
        elif misfit := shape_error(aim, view):
            misfits.append((aim.pair.module, misfit))
    findings.raise_if_any()
    misfits += _uneven_stacks(aims)
    if misfits:
        raise InputError(
            bullet_list(f"The adapter does not fit the base ({base.origin}):", fold_by_reason(misfits)),
            where=adapter.weights,
            hint="--base with the model that the adapter was trained on"
            + (f", {adapter.base_id}" if adapter.base_id else "; adapter_config.json does not name it"),
            code="does-not-fit",
        )
    return tuple(to_base_layout([_slot(aim, view) for aim in _stack_experts(aims)], base, seen))


def _slot(aim: Candidate, view: BaseView) -> TensorSlot:
    """Return the slot of a pair that fits, with its columns in order and its rows scaled."""
    weight, pair = aim.target.weight, aim.pair
    rows, columns = aim.shape
    a, b = pair.a, pair.b
    if weight.columns is not None:
        a = take_columns(a, view.permutation(weight.columns, aim.base, columns))
    if weight.scale is not None:
        b = scale_rows(b, weight.scale(aim.base.hparams, rows))
    order = None if weight.rows is None else view.permutation(weight.rows, aim.base, rows)
    return TensorSlot(aim.target.tensor, pair._replace(a=a, b=b), order, weight.kind)


def _uneven_stacks(aims: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
    """Yield each single expert whose shape differs from that of another expert of its weight."""
    sizes: dict[str, tuple[int, int]] = {}
    for aim in aims:
        size = sizes.setdefault(aim.target.tensor, aim.shape)
        if aim.target.expert >= 0 and size != aim.shape:
            shapes = f"its ΔW is {times_text(aim.shape)}, that of another expert is {times_text(size)}"
            yield aim.pair.module, shapes


def _find_duplicate_targets(aims: Sequence[Candidate], findings: RuleViolations) -> None:
    """Add violations for modules that are one weight under two names. Single experts may share a tensor."""
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
    adapter: Adapter, view: BaseView, arch: Arch, findings: RuleViolations
) -> Iterator[Candidate]:
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
                yield Candidate(pair, target, targets, own, view.expected_shape(targets), out_and_in(pair))


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
    if target.expert >= 0 and not expert_count(target, base):
        return "experts-unknown"
    return ""


def _oriented(aim: Candidate, adapter: Adapter, findings: RuleViolations) -> Iterator[Candidate]:
    """Yield the candidate with its pair fitted to the size of the weight, or add why it does not fit."""
    try:
        fitted = aim if aim.pair.fit is None else aim.with_pair(fitted_pair(aim.pair, *aim.expected))
    except FactorError as misfit:
        findings.add(misfit.code, misfit.text)
    else:
        yield _orient(fitted, adapter)


def _orient(aim: Candidate, adapter: Adapter) -> Candidate:
    """Transpose the pair if the base stores its weight transposed."""
    out, width = aim.expected
    kind, trained = aim.target.weight.kind, aim.shape
    if kind is Kind.LINEAR or aim.target.expert >= 0 or trained[::-1] != (out, width):
        return aim
    turned = kind is Kind.EXPERTS_TRANSPOSED or (kind is Kind.EXPERTS and _swaps(adapter.config))
    if trained == (out, width) and not turned:  # the shape of a square weight does not tell
        return aim
    return aim.with_pair(transpose_pair(aim.pair))


def _swaps(config: Mapping[str, Any]) -> bool:
    """Return whether the PEFT version that saved the adapter swapped in and out of expert parameters."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return bool(config.get("target_parameters")) and (
        version is not None and (int(version[1]), int(version[2])) < PEFT_FIXED_EXPERT_LAYOUT_IN
    )


def _stack_experts(aims: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield all candidates, the single experts of one tensor joined, at the place of the first of them."""
    stacks: dict[str, dict[int, LoraPair]] = {}
    for aim in aims:
        if aim.target.expert >= 0:
            stacks.setdefault(aim.target.tensor, {})[aim.target.expert] = aim.pair
    for aim in aims:
        if aim.target.expert < 0:
            yield aim
        elif stack := stacks.pop(aim.target.tensor, {}):
            yield aim.with_pair(stack_pairs(stack, expert_count(aim.target, aim.base)))
