"""Compare two adapters: the weights, the configuration and the tokenizer."""

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
        module: the name of the weight in the base.
        before: the spectrum in the first adapter, or None if only the second adapts the weight.
        after: the spectrum in the second adapter, or None if only the first adapts the weight.
        cosine: the cosine of the angle between both ΔW, or None if one is zero, missing or of another shape.
        shapes: both shapes if they differ, else an empty tuple.
    """

    module: str
    before: Spectrum | None
    after: Spectrum | None
    cosine: float | None = None
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def growth(self) -> float | None:
        """Return the norm of the second ΔW divided by that of the first, or None if there is no ratio."""
        if self.before is None or self.after is None or not self.before.norm:
            return None
        return self.after.norm / self.before.norm


@dataclass(frozen=True, slots=True)
class AdapterDiff:
    """What differs between two adapters.

    Attributes:
        changes: one change for each weight that either adapter adapts, in the order of the first adapter.
        settings: the keys of adapter_config.json that differ, each with both JSON values.
        tokens: the token ids that differ, each with both tokens.
        special: the special tokens (``bos``, ``eos``, ``pad``) that differ, each with both ids.
        compared: whether the tokenizers were compared, because both adapters have one.
    """

    changes: tuple[Change, ...]
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    tokens: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    special: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    compared: bool = False

    @property
    def same(self) -> bool:
        """Return whether nothing differs. Norm and direction of every ΔW are compared to six digits."""
        weights_differ = any(
            each.growth is None
            or abs(each.growth - 1) > 1e-6
            or each.cosine is None
            or each.cosine < 1 - 1e-6
            for each in self.changes
            if not (each.before and each.after and each.before.norm == each.after.norm == 0.0)
        )
        return not (weights_differ or self.settings or self.tokens or self.special)


def compare(
    one: Adapter, other: Adapter, first: Vocabulary | None = None, second: Vocabulary | None = None
) -> AdapterDiff:
    """Return what differs between two adapters.

    Args:
        one: the first adapter, usually the earlier one.
        other: the second adapter.
        first: the tokenizer of the first adapter, or None if it has none.
        second: the tokenizer of the second adapter, or None if it has none.

    Raises:
        InputError: a file of weights is truncated or cannot be read.
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
    """Yield the change of every weight of the first adapter, then of those that only the second adapts."""
    later = {pair.module: pair for pair in other.pairs}
    earlier = {pair.module for pair in one.pairs}
    for pair in one.pairs:
        yield _change(pair, later.get(pair.module))
    for pair in other.pairs:
        if pair.module not in earlier:
            yield Change(pair.module, None, measure((pair,))[0])


def _change(pair: LoraPair, later: LoraPair | None) -> Change:
    """Return the change of a weight of the first adapter; the second may not adapt it."""
    if later is None:
        return Change(pair.module, measure((pair,))[0], None)
    shapes = tuple((*each.b.shape[:-1], each.a.shape[-1]) for each in (pair, later))
    if shapes[0] != shapes[1]:
        before, after = measure((pair, later))
        return Change(pair.module, before, after, shapes=shapes)
    return Change(pair.module, *compare_pair(pair, later))


def _settings_diff(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield each setting that differs, with both values."""
    for key in sorted(one.keys() | other.keys()):
        before, after = one.get(key, _UNSET), other.get(key, _UNSET)
        if _normalised(before) != _normalised(after):
            yield key, (before, after)


def _normalised(value: object) -> object:
    """Return a value in the form that is compared: lists of names are sorted, and null counts as not set."""
    if value is None:
        return _UNSET
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return sorted(value)
    return value


def _tokens_diff(one: Vocabulary, other: Vocabulary) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield each token id that differs, with both tokens; a missing token is ''."""
    for number in sorted(one.tokens.keys() | other.tokens.keys()):
        before, after = one.tokens.get(number, ""), other.tokens.get(number, "")
        if before != after:
            yield number, (before, after)


def _special_tokens_diff(
    one: Vocabulary, other: Vocabulary
) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
    """Yield each special token that differs, with both ids."""
    for kind in sorted(one.special.keys() | other.special.keys()):
        before, after = one.special.get(kind), other.special.get(kind)
        if before != after:
            yield kind, (before, after)
