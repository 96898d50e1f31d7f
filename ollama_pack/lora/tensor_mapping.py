"""Map the pairs of an adapter to the tensors of a base, or report the rule that a pair violates.

A slot is the destination of one pair, or of all pairs of one stack of experts: the name of the GGUF tensor,
the pair in the orientation of that tensor, and the order of B's rows. The plan of a file and its proof both
start from the slots. Everything is checked with the tensor names of the architecture table; the layout of the
base (fused or split tensors) comes last: docs/decisions.md, "The base's layout comes last".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollama_pack.arch.spec import Arch, Kind, Target, dimension, find_targets
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, bullet_list, fold_by_reason
from ollama_pack.gguf.tensors import MATRIX_NDIM
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.algebra import scale_rows, take_columns
from ollama_pack.lora.fused_tensors import TensorSlot, as_table_names, to_base_layout
from ollama_pack.lora.pairs import slice_columns, stack_pairs, transpose_pair
from ollama_pack.lora.rules import RuleViolations

SHARED_A_METHOD = "VeRA"
"""VeRA shares one A between all weights; a weight narrower than A uses its first columns."""

PERMUTED_DIMENSIONS = ("heads", "kv_heads", "gated_heads", "qkv", "ssm")
"""Prefixes of the dimensions that row orders depend on. No order is computed while one is unknown."""

PEFT_FIXED_EXPERT_LAYOUT_IN = (0, 19)
"""The first PEFT version that reads expert parameters as out × in; older ones swapped the two dimensions."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A pair and one tensor that it may go to.

    Attributes:
        pair: the pair, in the orientation of the base's weight after `_orient`.
        target: the tensor it goes to.
        module_targets: all targets of the pair's module, including `target`. A fused module has several.
        base: the base with the sizes of the target's layer.
    """

    pair: LoraPair
    target: Target
    module_targets: tuple[Target, ...]
    base: BaseModel

    @property
    def shape(self) -> tuple[int, int]:
        """Return out × in of ΔW, or of one expert's ΔW."""
        return self.pair.b.shape[-2], self.pair.a.shape[-1]


def map_pairs_to_tensors(adapter: Adapter, base: BaseModel, arch: Arch) -> tuple[TensorSlot, ...]:
    """Return the slot of every pair of an adapter in a LoRA file for this base.

    Args:
        adapter: the pairs, with A rank × in and B out × rank, or a stack of them with experts in front.
        base: the sizes of the base, and the shapes of its tensors if they are known.
        arch: the architecture of the base.

    Raises:
        InputError: a shape, a layer or a number of experts does not match the base.
        UnsupportedError: no tensor takes a pair, or llama.cpp would not apply it as PEFT does.
    """
    findings = RuleViolations(adapter.weights)
    seen = as_table_names(base, arch)
    aims = [_orient(aim, adapter) for aim in _candidates(adapter, seen, arch, findings)]
    findings.raise_if_any()
    misfits: list[tuple[str, str]] = []
    _find_duplicate_targets(aims, findings)
    for aim in aims:
        if resized := _vocabulary_error(aim):
            findings.add("resized", resized)
        elif misfit := _shape_error(aim):
            misfits.append((aim.pair.module, misfit))
    findings.raise_if_any()
    misfits += _uneven_stacks(aims)
    if misfits:
        raise InputError(
            bullet_list(f"The adapter does not fit the base ({base.origin}):", fold_by_reason(misfits)),
            where=adapter.weights,
            hint="--base with the model that the adapter was trained on"
            + (f", {adapter.base_id}" if adapter.base_id else "; adapter_config.json does not name it"),
        )
    return tuple(to_base_layout([_slot(aim) for aim in _stack_experts(aims)], base, seen))


def _slot(aim: _Candidate) -> TensorSlot:
    """Return the slot of a checked candidate, with the column order and the scale of the table applied."""
    weight, pair = aim.target.weight, aim.pair
    rows, columns = aim.shape
    a, b = pair.a, pair.b
    if weight.columns is not None:
        a = take_columns(a, weight.columns(aim.base.hparams, columns))
    if weight.scale is not None:
        b = scale_rows(b, weight.scale(aim.base.hparams, rows))
    order = None if weight.rows is None else weight.rows(aim.base.hparams, rows)
    return TensorSlot(aim.target.tensor, replace(pair, a=a, b=b), order, weight.kind)


def _uneven_stacks(aims: Sequence[_Candidate]) -> Iterator[tuple[str, str]]:
    """Yield each expert whose shape differs from that of another expert in its stack."""
    sizes: dict[str, tuple[int, int]] = {}
    for aim in aims:
        size = sizes.setdefault(aim.target.tensor, aim.shape)
        if aim.target.expert >= 0 and size != aim.shape:
            shapes = f"its ΔW is {_shape_text(aim.shape)}, that of another expert is {_shape_text(size)}"
            yield aim.pair.module, shapes


def _find_duplicate_targets(aims: Sequence[_Candidate], findings: RuleViolations) -> None:
    """Add a violation for each weight that two modules adapt. Different experts of one weight are allowed."""
    taken: dict[str, dict[int, LoraPair]] = {}
    for aim in aims:
        pair, expert = aim.pair, aim.target.expert
        others = taken.setdefault(aim.target.tensor, {})
        clash = [each for number, each in others.items() if expert in (number, -1) or number == -1]
        if clash:
            alone = clash[0].a.path == pair.a.path  # a sum has pairs of several files
            findings.add("twice" if alone else "sum-apart", f"{clash[0].module} and {pair.module}")
        others[expert] = pair


def _candidates(
    adapter: Adapter, base: BaseModel, arch: Arch, findings: RuleViolations
) -> Iterator[_Candidate]:
    """Yield each pair with each of its tensors, and add a violation for a pair that cannot have one."""
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
    """Return the code of the rule that forbids LoRA on a weight of this base, or '' if LoRA is allowed."""
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
    """Return the number of experts of a weight of the base, or 0 if it is unknown."""
    shape = (base.tensors or {}).get(target.tensor, ())
    return shape[0] if len(shape) == 3 else base.hparams.experts


def _expected_shape(aim: _Candidate) -> tuple[int, int]:
    """Return the out × in that B·A of one matrix must have. A size is 0 if it is unknown."""
    sizes = [_matrix_shape(target, aim.base) for target in aim.module_targets]
    out, width = sum(out for out, _ in sizes), sizes[0][1]
    return (out if all(out for out, _ in sizes) else 0), width


def _matrix_shape(target: Target, base: BaseModel) -> tuple[int, int]:
    """Return out × in of one matrix of a tensor. A size is 0 if it is unknown."""
    out, width = (dimension(size, base.hparams) for size in target.weight.shape)
    shape = (base.tensors or {}).get(target.tensor, ())
    if len(shape) >= MATRIX_NDIM:
        out, width = shape[-2:]
    return (width, out) if target.weight.kind is Kind.EMBEDDING else (out, width)


def _orient(aim: _Candidate, adapter: Adapter) -> _Candidate:
    """Transpose the pair if the base stores the weight transposed; slice VeRA's A to its width."""
    out, width = _expected_shape(aim)
    kind, trained = aim.target.weight.kind, aim.shape
    if adapter.method == SHARED_A_METHOD and 0 < width < trained[1]:
        return replace(aim, pair=slice_columns(aim.pair, width))
    if kind is Kind.LINEAR or aim.target.expert >= 0 or trained[::-1] != (out, width):
        return aim
    turned = kind is Kind.EXPERTS_TRANSPOSED or (kind is Kind.EXPERTS and _swaps(adapter.config))
    if trained == (out, width) and not turned:  # the shape of a square weight does not tell
        return aim
    return replace(aim, pair=transpose_pair(aim.pair))


def _swaps(config: Mapping[str, Any]) -> bool:
    """Return whether the PEFT version that saved the adapter swapped in and out of expert parameters."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return bool(config.get("target_parameters")) and (
        version is not None and (int(version[1]), int(version[2])) < PEFT_FIXED_EXPERT_LAYOUT_IN
    )


def _vocabulary_error(aim: _Candidate) -> str:
    """Return the mismatch if a head or embedding differs only in its number of tokens, else ''."""
    if not aim.target.weight.optional:
        return ""
    embedding = aim.target.weight.kind is Kind.EMBEDDING
    rest, tokens = aim.shape[:: 1 if embedding else -1]
    wanted_rest, wanted_tokens = _expected_shape(aim)[:: 1 if embedding else -1]
    if rest != wanted_rest or wanted_tokens in (0, tokens):
        return ""
    return f"{aim.pair.module}: the adapter has {tokens} tokens, the base has {wanted_tokens}"


def _shape_error(aim: _Candidate) -> str:
    """Return why a pair does not fit its weight in the base, or '' if it fits."""
    base, target = aim.base, aim.target
    if base.tensors is None and target.block >= base.hparams.blocks:
        return f"the last layer of the base is {base.hparams.blocks - 1}"
    if base.tensors is not None and target.tensor not in base.tensors:
        return f"the base has no {target.tensor}"
    if base.tensors is not None and len(base.tensors[target.tensor]) < MATRIX_NDIM:
        return f"{target.tensor} is not a matrix in the base"
    wanted = tuple(size or real for size, real in zip(_expected_shape(aim), aim.shape, strict=True))
    if aim.shape != wanted:
        return f"the adapter expects {_shape_text(aim.shape)}, the base has {_shape_text(wanted)}"
    return _expert_count_error(aim) or _permutation_error(aim)


def _expert_count_error(aim: _Candidate) -> str:
    """Return the mismatch between the experts of a pair and of the base, or '' if they match."""
    target, stack = aim.target, aim.pair.a.shape[:-2]
    stacked = target.weight.has_experts and target.expert < 0
    if len(stack) != stacked:
        return f"A and B have {len(stack) + 2} dimensions, {target.tensor} takes {stacked + 2}"
    experts = _experts(target, aim.base)
    if (stack and experts and stack[0] != experts) or target.expert >= experts > 0:
        return (
            f"the adapter expects {stack[0] if stack else target.expert + 1} experts, the base has {experts}"
        )
    return ""


def _permutation_error(aim: _Candidate) -> str:
    """Return why rows or columns cannot be reordered, or '' if they can.

    A wrong head count in the header would give an order that does not take each row exactly once. The count
    may be any number, so the length is checked before an order is computed: docs/decisions.md, "One kind of
    function moves rows, and the mapping checks it".
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
        taken = sorted(row for order in orders for row in order(aim.base.hparams, trained))
        if orders and taken != list(range(trained)):
            return f"the {trained} {side} cannot be divided into heads of {aim.base.hparams.head_dim}"
    return ""


def _stack_experts(aims: Sequence[_Candidate]) -> Iterator[_Candidate]:
    """Yield the candidates, with the pairs of single experts stacked at the position of the first one."""
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
    """Return a shape as it is written in messages, ``576×576``."""
    return "×".join(map(str, shape))
