"""Every way in which a row of the table can be wrong about one weight, one at a time.

A mutant is an architecture with one weight changed, and a base of sizes under which the change matters: no
order is its own inverse, and what is exchanged has one shape. The mapping accepts each of them, so that only
the proof stands between it and a wrong file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from sized_rows import named, sized_base, targets, total

from ollama_pack.arch.spec import EXPERT_INDEX, Arch, Kind, Weight
from ollama_pack.base.model import BaseModel

BLOCK = 1
OLD_PEFT = {"target_parameters": ["experts.any"], "peft_version": "0.18.0"}
"""A version that took square experts for in × out."""

UNEVEN = {"heads": 6}
"""Three heads for each key head: with two, PLaMo's order would be its own inverse."""

SQUARE = {"heads": 4, "kv_heads": 4, **dict.fromkeys(("hidden", "feed_forward", "vocab", "unknown"), 24)}
SQUARE["expert_feed_forward"] = 24
"""As many keys as queries, and nearly all weights of one shape."""


@dataclass(frozen=True)
class Mutant:
    """One error in one row.

    Attributes:
        kind: what it is about.
        what: the weight and the change, to be read in a failure.
        arch: the row with the error.
        base: a base of that architecture.
        modules: the modules that an adapter must have to show it.
        unknown: what stands for sizes that the base does not tell.
        config: the adapter's configuration.
        exchanged: the tensor of which the first and the last expert are exchanged, empty if none is.
    """

    kind: str
    what: str
    arch: Arch
    base: BaseModel
    modules: tuple[str, ...]
    unknown: int = 10
    config: dict[str, Any] = field(default_factory=dict)
    exchanged: str = ""


def mutants_of(arch: Arch) -> Iterator[Mutant]:
    """Yield every mutant of a row."""
    known = [weight for weight in arch.weights if not weight.unsupported]
    for make in (_rows, _columns, _scales, _stacks, _kinds):
        for weight in known:
            yield from make(arch, weight)
    yield from _splits(arch)
    yield from _names(arch, known)


def trained(*weights: Weight) -> tuple[str, ...]:
    """Return the modules of weights in one block; of single experts, the first and the last."""
    experts = (0, 2)
    names = [
        named(weight, BLOCK, expert)
        for weight in weights
        for expert in (experts if EXPERT_INDEX in weight.module else experts[:1])
    ]
    return tuple(dict.fromkeys(names))


def changed(arch: Arch, *changes: tuple[Weight, dict[str, Any]]) -> Arch:
    """Return a row with some of its weights changed."""
    fields = {id(weight): change for weight, change in changes}
    return replace(arch, weights=tuple(each._replace(**fields.get(id(each), {})) for each in arch.weights))


def parts_of(arch: Arch, weight: Weight) -> list[Weight]:
    """Return the weights that the module of one becomes."""
    return [each for each in arch.weights if each.module == weight.module]


_bases: dict[str, BaseModel] = {}


def base_of(arch: Arch, sizes: dict[str, int]) -> BaseModel:
    """Return a base of an architecture, the same for the same sizes."""
    key = f"{arch.name} {sizes}"
    if key not in _bases:
        _bases[key] = sized_base(arch, **sizes)
    return _bases[key]


Order = Callable[[Any, int], tuple[int, ...]]


def made_of(order: Order | None, change: Callable[[tuple[int, ...]], Any]) -> Order:
    """Return an order changed; None is that which changes nothing."""

    def make(hparams, rows):
        given = tuple(range(rows)) if order is None else order(hparams, rows)
        return tuple(int(row) for row in change(given))

    return make


def _orders(order: Order | None, parts: int) -> Iterator[tuple[str, Order | None]]:
    """Yield wrong orders in the place of one."""
    yield "reversed", made_of(order, lambda given: given[::-1])
    if order is not None and parts == 1:
        yield "left as it is", None
        yield "inverted", made_of(order, np.argsort)


def _sizes(weight: Weight) -> tuple[dict[str, int], int]:
    """Return sizes under which an order is accepted, and what stands for those that are unknown.

    An embedding is taken for its transpose, so it is square: its rows are as many as its columns.
    """
    return (SQUARE, 24) if weight.kind is Kind.EMBEDDING else (UNEVEN, 10)


def _rows(arch: Arch, weight: Weight) -> Iterator[Mutant]:
    sizes, unknown = _sizes(weight)
    base, parts = base_of(arch, sizes), parts_of(arch, weight)
    rows = total(parts, base, unknown=unknown)
    right = made_of(weight.rows, tuple)(base.hparams, rows)
    for how, wrong in _orders(weight.rows, len(parts)):
        assert made_of(wrong, tuple)(base.hparams, rows) != right, f"{arch.name}: {weight.module} {how}"
        what = f"rows of {weight.module} {how} in {weight.tensor}"
        yield Mutant("rows", what, changed(arch, (weight, {"rows": wrong})), base, trained(weight), unknown)


def _columns(arch: Arch, weight: Weight) -> Iterator[Mutant]:
    sizes, unknown = _sizes(weight)
    base = base_of(arch, sizes)
    columns = total([weight], base, side=1, unknown=unknown)
    right = made_of(weight.columns, tuple)(base.hparams, columns)
    for how, wrong in _orders(weight.columns, 1):
        assert made_of(wrong, tuple)(base.hparams, columns) != right, f"{arch.name}: {weight.module} {how}"
        what = f"columns of {weight.module} {how} in {weight.tensor}"
        row = changed(arch, (weight, {"columns": wrong}))
        yield Mutant("columns", what, row, base, trained(weight), unknown)


def _scales(arch: Arch, weight: Weight) -> Iterator[Mutant]:
    scale = weight.scale or (lambda _hparams, rows: (1.0,) * rows)

    def doubled(hparams, rows):
        return tuple(2 * number for number in scale(hparams, rows))

    def off_by_a_percent_in_one_row(hparams, rows):
        one = made_of(weight.rows, tuple)(hparams, rows)[-1]
        return tuple(
            number * (1.01 if row == one else 1.0) for row, number in enumerate(scale(hparams, rows))
        )

    wrong = [doubled, off_by_a_percent_in_one_row] + [None] * (weight.scale is not None)
    for make in wrong:
        how = make.__name__.replace("_", " ") if make else "left out"
        what = f"scale of {weight.module} {how} in {weight.tensor}"
        row = changed(arch, (weight, {"scale": make}))
        yield Mutant("scale", what, row, base_of(arch, UNEVEN), trained(weight))


def _stacks(arch: Arch, weight: Weight) -> Iterator[Mutant]:
    if weight.has_experts:
        tensor = f"{weight.tensor.replace('{i}', str(BLOCK))}.weight"
        yield Mutant(
            "stack",
            f"experts of {weight.module} exchanged in {weight.tensor}",
            arch,
            base_of(arch, UNEVEN),
            trained(weight),
            exchanged=tensor,
        )


WRONG_KINDS: dict[Kind, tuple[tuple[Kind, dict[str, Any]], ...]] = {
    Kind.EXPERTS: ((Kind.EXPERTS_TRANSPOSED, {}), (Kind.EXPERTS_IN_OUT, OLD_PEFT)),
    Kind.EXPERTS_TRANSPOSED: ((Kind.EXPERTS, {}), (Kind.EXPERTS_IN_OUT, {})),
    Kind.EXPERTS_IN_OUT: ((Kind.EXPERTS_TRANSPOSED, {}), (Kind.EXPERTS, OLD_PEFT)),
    Kind.EMBEDDING: ((Kind.LINEAR, {}),),
    Kind.LINEAR: ((Kind.EMBEDDING, {}),),
}
"""Kind → those it can be taken for, and the configuration of an adapter that shows it."""


def _kinds(arch: Arch, weight: Weight) -> Iterator[Mutant]:
    """Yield mutants of the kind, of square matrices: of others the shape says which way round they are.

    A single expert is the way round that its linear module is. A weight with an order of its own cannot be
    looked up: the mapping refuses it.
    """
    ordered = weight.kind is Kind.LINEAR and (weight.rows or weight.columns or weight.scale)
    if EXPERT_INDEX in weight.module or ordered:
        return
    sizes = _square(arch, weight)
    for kind, config in WRONG_KINDS[weight.kind]:
        yield Mutant(
            "kind",
            f"{weight.module} in {weight.tensor} taken for {kind.value} {config}",
            changed(arch, (weight, {"kind": kind})),
            base_of(arch, sizes),
            trained(weight),
            sizes["unknown"],
            config,
        )


def _square(arch: Arch, weight: Weight) -> dict[str, int]:
    """Return sizes under which a weight of experts, or of tokens, is square; others may be what they are."""
    for inner in (24, 12):
        sizes = {**SQUARE, "expert_feed_forward": inner}
        parts = parts_of(arch, weight)
        base = base_of(arch, sizes)
        if total(parts, base, unknown=24) == total([weight], base, side=1, unknown=24):
            return sizes
    assert weight.kind is Kind.LINEAR, f"{arch.name}: no sizes make {weight.module} square"
    return SQUARE


def _splits(arch: Arch) -> Iterator[Mutant]:
    """Yield mutants of modules that become several tensors: parts exchanged, and parts cut elsewhere."""
    modules = dict.fromkeys(weight.module for weight in arch.weights if not weight.unsupported)
    for module in modules:
        parts = [weight for weight in arch.weights if weight.module == module]
        if len(parts) == 1:
            continue
        base = base_of(arch, SQUARE)
        rows = total(parts, base, unknown=24)
        sizes = {part.tensor: len(part.rows(base.hparams, rows)) for part in parts}
        for one, other in combinations(parts, 2):
            if sizes[one.tensor] == sizes[other.tensor]:
                row = changed(arch, (one, {"rows": other.rows}), (other, {"rows": one.rows}))
                what = f"{one.tensor} and {other.tensor} of {module} exchanged"
                yield Mutant("split", what, row, base, trained(one), 24)
        shifted = [(part, {"rows": _shifted(parts, number)}) for number, part in enumerate(parts)]
        yield Mutant(
            "split",
            f"parts of {module} shifted by a row",
            changed(arch, *shifted),
            base_of(arch, UNEVEN),
            trained(parts[0]),
        )


def _shifted(parts: list[Weight], number: int) -> Order:
    """Return the rows of a part of a module, each part beginning one row too late."""

    def make(hparams, rows):
        orders = [part.rows(hparams, rows) for part in parts]
        joined = [row for order in orders for row in order]
        joined = joined[1:] + joined[:1]
        start = sum(map(len, orders[:number]))
        return tuple(joined[start : start + len(orders[number])])

    return make


def _names(arch: Arch, known: list[Weight]) -> Iterator[Mutant]:
    """Yield mutants in which two tensors of one shape have each other's names."""
    base = base_of(arch, SQUARE)
    shapes = {target.tensor: base.tensors[target.tensor] for target in targets(arch)}
    tensors = {id(weight): {part.tensor for part in parts_of(arch, weight)} for weight in known}
    for number, weight in enumerate(known):
        for other in known[number + 1 :]:
            one_shape, other_shape = (
                shapes[f"{each.tensor.replace('{i}', str(BLOCK))}.weight"] for each in (weight, other)
            )
            together = weight.module == other.module or not tensors[id(weight)] & tensors[id(other)]
            alike = one_shape == other_shape and weight.optional == other.optional
            if alike and together and weight.tensor != other.tensor:
                row = changed(arch, (weight, {"tensor": other.tensor}), (other, {"tensor": weight.tensor}))
                what = f"{weight.module} in {other.tensor}, {other.module} in {weight.tensor}"
                yield Mutant("name", what, row, base, trained(weight, other), 24)
                break
