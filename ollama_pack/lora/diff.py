"""COMPARE  two adapters: what changed in each weight, in the configuration, in the tokenizer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.lora.adapter import Adapter, LoraPair
from ollama_pack.lora.spectrum import Spectrum, compare_pair, measure

_UNSET = "not set"


@dataclass(frozen=True, slots=True)
class Change:
    """How one ΔW differs between two adapters.

    Attributes:
        module: the weight's name in the base model.
        before: how large it is in the first; None where only the second has it.
        after: the same in the second; None where only the first has it.
        cosine: of the angle between the two; None where one is zero, missing, or of another shape.
        shapes: both shapes, where they differ; else empty.
    """

    module: str
    before: Spectrum | None
    after: Spectrum | None
    cosine: float | None = None
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def growth(self) -> float | None:
        """Return by what the second is larger; None where that is no number."""
        if self.before is None or self.after is None or not self.before.norm:
            return None
        return self.after.norm / self.before.norm


@dataclass(frozen=True, slots=True)
class AdapterDiff:
    """What differs between two adapters.

    Attributes:
        changes: one for each weight of either, in the order of the first.
        settings: key of adapter_config.json → both values, as JSON has them; of those that differ.
        tokens: id → both tokens; of those that differ.
        special: ``bos``, ``eos`` or ``pad`` → both ids; of those that differ.
        compared: whether both have a tokenizer.
    """

    changes: tuple[Change, ...]
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    tokens: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    special: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    compared: bool = False

    @property
    def same(self) -> bool:
        """Return whether nothing differs: every ΔW is of the same size and direction, to six digits."""
        turned = any(
            each.growth is None
            or abs(each.growth - 1) > 1e-6
            or each.cosine is None
            or each.cosine < 1 - 1e-6
            for each in self.changes
            if not (each.before and each.after and each.before.norm == each.after.norm == 0.0)
        )
        return not (turned or self.settings or self.tokens or self.special)


def compare(
    one: Adapter, other: Adapter, first: Vocabulary | None = None, second: Vocabulary | None = None
) -> AdapterDiff:
    """Return what differs between two adapters.

    Args:
        one: the first, usually the earlier one.
        other: the second.
        first: the tokenizer of the first, None where it has none.
        second: that of the second.

    Raises:
        InputError: a file of weights ends too early, or cannot be read.
    """
    both = first is not None and second is not None
    return AdapterDiff(
        changes=tuple(_changes(one, other)),
        settings=dict(_settings_diff(one.config, other.config)),
        tokens=dict(_tokens_diff(first, second)) if first and second else {},
        special=dict(_special_tokens_diff(first, second)) if first and second else {},
        compared=both,
    )


def _changes(one: Adapter, other: Adapter) -> Iterator[Change]:
    later = {pair.module: pair for pair in other.pairs}
    earlier = {pair.module for pair in one.pairs}
    for pair in one.pairs:
        yield _change(pair, later.get(pair.module))
    for pair in other.pairs:
        if pair.module not in earlier:
            yield Change(pair.module, None, measure((pair,))[0])


def _change(pair: LoraPair, later: LoraPair | None) -> Change:
    if later is None:
        return Change(pair.module, measure((pair,))[0], None)
    shapes = tuple((*each.b.shape[:-1], each.a.shape[-1]) for each in (pair, later))
    if shapes[0] != shapes[1]:
        before, after = measure((pair, later))
        return Change(pair.module, before, after, shapes=shapes)
    return Change(pair.module, *compare_pair(pair, later))


def _settings_diff(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for key in sorted(one.keys() | other.keys()):
        before, after = one.get(key, _UNSET), other.get(key, _UNSET)
        if _plain(before) != _plain(after):
            yield key, (before, after)


def _plain(value: object) -> object:
    """Return a value as it is compared: lists of names have no order, and null is what is not set."""
    if value is None:
        return _UNSET
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return sorted(value)
    return value


def _tokens_diff(one: Vocabulary, other: Vocabulary) -> Iterator[tuple[int, tuple[str, str]]]:
    for number in sorted(one.tokens.keys() | other.tokens.keys()):
        before, after = one.tokens.get(number, ""), other.tokens.get(number, "")
        if before != after:
            yield number, (before, after)


def _special_tokens_diff(
    one: Vocabulary, other: Vocabulary
) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
    for kind in sorted(one.special.keys() | other.special.keys()):
        before, after = one.special.get(kind), other.special.get(kind)
        if before != after:
            yield kind, (before, after)
