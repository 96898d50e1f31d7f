"""MAP  the pairs of an adapter → the tensors of a base, or the rule that keeps one from having a place.

A place is where one pair, or those of one stack of experts, end up: the name of the tensor, the pair as it
fits there, and the order of B's rows. Both the plan of a file and its proof start from here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_pack.archs import Arch, Kind, Target, dimension, find_targets
from ollama_pack.errors import InputError, listing
from ollama_pack.factors import transposed
from ollama_pack.fates import Findings
from ollama_pack.pairs import flipped, narrowed, stack_pairs
from ollama_pack.parts import Adapter, Base, LoraPair, Tensor

CUTS_COLUMNS = "VeRA"
"""The method whose A is as wide as its widest weight; the others use a part of it."""

SWAPS_BEFORE = (0, 19)
"""Versions of PEFT before this one took experts stored out × in for in × out."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pair ends up in a file.

    Attributes:
        tensor: the GGUF name of the weight, ``blk.0.attn_q.weight``.
        pair: as it fits there.
        order: row i of B in the file is row ``order[i]`` of the pair's; None keeps them.
        kind: how the file holds the pair.
    """

    tensor: str
    pair: LoraPair
    order: tuple[int, ...] | None
    kind: Kind

    @property
    def a(self) -> Tensor:
        """Return A as the file holds it; that of an embedding is transposed."""
        return transposed(self.pair.a) if self.kind is Kind.EMBEDDING else self.pair.a


def place_pairs(adapter: Adapter, base: Base, arch: Arch) -> tuple[Place, ...]:
    """Return where every pair of an adapter goes in a file for this base.

    Raises:
        InputError: shapes or block numbers disagree with the base.
        UnsupportedError: a pair has no place, or llama.cpp would not apply it.
    """
    findings = Findings(adapter.weights)
    aimed = [
        (_fitted(pair, target, adapter, base), target) for pair, target in _aim(adapter, base, arch, findings)
    ]
    findings.require_none()
    misfits: list[str] = []
    _find_twins(aimed, findings)
    for pair, target in aimed:
        if resized := _resized(pair, target, base):
            findings.add("resized", resized)
        elif misfit := _misfit(pair, target, base):
            misfits.append(f"{pair.module}: {misfit}")
    findings.require_none()
    misfits += _uneven_stacks(aimed)
    if misfits:
        raise InputError(
            listing(f"The adapter does not fit the base ({base.origin}):", misfits),
            where=adapter.weights,
            hint="--base with the model the adapter was trained on; adapter_config.json names "
            + (adapter.base_id or "none"),
        )
    return tuple(
        Place(target.tensor, pair, target.weight.order(base, pair.b.shape[-2]), target.weight.kind)
        for pair, target in _stacked(aimed, base)
    )


def _uneven_stacks(aimed: Sequence[tuple[LoraPair, Target]]) -> Iterator[str]:
    """Yield which single experts of one weight differ in their size, which a base may not tell."""
    sizes: dict[str, tuple[int, int]] = {}
    for pair, target in aimed:
        trained = (pair.b.shape[-2], pair.a.shape[-1])
        if target.expert >= 0 and sizes.setdefault(target.tensor, trained) != trained:
            yield f"{pair.module}: {_times(trained)} adapts, {_times(sizes[target.tensor])} in another expert"


def _find_twins(aimed: Sequence[tuple[LoraPair, Target]], findings: Findings) -> None:
    """Find modules that are one weight under two names; single experts of one weight are none."""
    taken: dict[str, dict[int, LoraPair]] = {}
    for pair, target in aimed:
        others = taken.setdefault(target.tensor, {})
        clash = [each for expert, each in others.items() if target.expert in (expert, -1) or expert == -1]
        if clash:
            alone = clash[0].a.path == pair.a.path  # the pairs of a sum are of several files
            findings.add("twice" if alone else "sum-apart", f"{clash[0].module} and {pair.module}")
        others[target.expert] = pair


def _aim(adapter: Adapter, base: Base, arch: Arch, findings: Findings) -> Iterator[tuple[LoraPair, Target]]:
    """Yield each pair with each tensor it goes into."""
    for pair in adapter.pairs:
        targets = find_targets(arch, pair.module)
        if not targets:
            findings.add("no-place", pair.module)
        for target in targets:
            rule = _why_not(target, base)
            if rule:
                findings.add(rule, pair.module)
            else:
                yield pair, target


def _why_not(target: Target, base: Base) -> str:
    """Return the rule that keeps LoRA from a weight of this base, empty where none does."""
    if target.weight.ignored:
        return "ignored"
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


def _wanted(target: Target, base: Base) -> tuple[int, int]:
    """Return out × in of one matrix that B·A must have, 0 where it is unknown."""
    out, width = (dimension(size, base) for size in target.weight.shape)
    if base.tensors is not None and target.tensor in base.tensors:
        out, width = base.tensors[target.tensor][-2:]
    if target.weight.kind is Kind.EMBEDDING:
        out, width = width, out
    return out * (1 if target.weight.split is None else 2), width


def _fitted(pair: LoraPair, target: Target, adapter: Adapter, base: Base) -> LoraPair:
    """Return a pair the way round that the base has its weight, and no wider."""
    out, width = _wanted(target, base)
    if adapter.method == CUTS_COLUMNS and 0 < width < pair.a.shape[-1]:
        return narrowed(pair, width)
    trained = (pair.b.shape[-2], pair.a.shape[-1])
    if target.weight.kind is Kind.LINEAR or target.expert >= 0 or trained[::-1] != (out, width):
        return pair
    square = trained == (out, width)
    if square and not (target.weight.kind is Kind.EXPERTS and _swaps(adapter.config)):
        return pair
    return flipped(pair)


def _swaps(config: Mapping[str, Any]) -> bool:
    """Return whether the PEFT that saved the adapter took out × in for in × out."""
    version = re.match(r"(\d+)\.(\d+)", str(config.get("peft_version") or "0.0"))
    return bool(config.get("target_parameters")) and (
        version is not None and (int(version[1]), int(version[2])) < SWAPS_BEFORE
    )


def _resized(pair: LoraPair, target: Target, base: Base) -> str:
    """Return what differs where only the vocabulary does, empty elsewhere."""
    if not target.weight.optional:
        return ""
    embedding = target.weight.kind is Kind.EMBEDDING
    rest, tokens = (pair.b.shape[-2], pair.a.shape[-1])[:: 1 if embedding else -1]
    wanted_rest, wanted_tokens = _wanted(target, base)[:: 1 if embedding else -1]
    if rest != wanted_rest or wanted_tokens in (0, tokens):
        return ""
    return f"{pair.module}: {tokens} tokens adapt, {wanted_tokens} are in the base"


def _misfit(pair: LoraPair, target: Target, base: Base) -> str:
    """Return why a pair does not fit its weight in the base, empty where it does."""
    if base.tensors is None and target.block >= base.blocks:
        return f"the base has {base.blocks} blocks"
    if base.tensors is not None and target.tensor not in base.tensors:
        return f"the base has no {target.tensor}"
    stack, trained = pair.a.shape[:-2], (pair.b.shape[-2], pair.a.shape[-1])
    wanted = tuple(size or real for size, real in zip(_wanted(target, base), trained, strict=True))
    if trained != wanted:
        return f"{_times(trained)} adapts, {_times(wanted)} is in the base"
    return _misfit_of_experts(stack, target, base) or _misfit_of_rows(trained[0], target, base)


def _misfit_of_experts(stack: tuple[int, ...], target: Target, base: Base) -> str:
    """Return why there are more or fewer experts than the base has, empty where there are not."""
    if len(stack) != (target.weight.has_experts and target.expert < 0):
        return f"{len(stack) + 2} dimensions adapt {target.tensor}"
    experts = _experts(target, base)
    if (stack and experts and stack[0] != experts) or target.expert >= experts > 0:
        return f"{stack[0] if stack else target.expert + 1} experts adapt, {experts} are in the base"
    return ""


def _misfit_of_rows(trained: int, target: Target, base: Base) -> str:
    """Return why the rows of B cannot be put in order, empty where they can.

    A header that lies about its heads would make an order that is no permutation of the rows.
    """
    if target.weight.split is not None and trained % 2:
        return f"{trained} rows are no two halves"
    rows = dimension(target.weight.shape[0], base)
    uneven = base.head_dim % 2 or (target.weight.shape[0] == "qkv" and base.heads % base.kv_heads)
    if target.weight.rows is not None and (rows != trained or uneven):
        return f"{trained} rows adapt, {rows} rows in heads of {base.head_dim} are in the base"
    return ""


def _stacked(aimed: Sequence[tuple[LoraPair, Target]], base: Base) -> Iterator[tuple[LoraPair, Target]]:
    """Yield pairs and tensors, those of single experts together as one, where the first of them stood."""
    stacks: dict[str, dict[int, LoraPair]] = {}
    for pair, target in aimed:
        if target.expert >= 0:
            stacks.setdefault(target.tensor, {})[target.expert] = pair
    for pair, target in aimed:
        if target.expert < 0:
            yield pair, target
        elif stack := stacks.pop(target.tensor, {}):
            yield stack_pairs(stack, _experts(target, base)), target


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
