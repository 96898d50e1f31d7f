"""The nouns of the base proof: what an adapter was trained with, what a base has, and where they disagree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.parts import Base

ERROR, WARNING, NOTE = "error", "warning", "note"

SPECIAL = ("bos", "eos", "pad")
"""Tokens with a meaning of their own: begin of text, end of text, padding."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens by their ids.

    Attributes:
        tokens: id → token; a space may stand as ``▁``.
        special: ``bos``, ``eos`` or ``pad`` → id, of those that are known.
        origin: where this was read.
    """

    tokens: Mapping[int, str]
    special: Mapping[str, int] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What is known of the base that an adapter was trained on, without having it.

    Attributes:
        base_id: ``base_model_name_or_path``; empty where the adapter does not say.
        numbers: of that base, from the catalog or its config.json; None where they are not known.
        rope_base: the base of its rotary embeddings, 0 where unknown.
        context: how many tokens it was made for, 0 where unknown.
        vocabulary: of the tokenizer that was saved with the adapter; None where none was.
        blocks: of the base, as far as the adapter tells: one more than the last it changes, where it changes
            all below; 0 where it tells nothing.
        strict: whether warnings are errors.
        accepted: codes of disagreements that the user takes.
        notes: what could not be compared, and why.
    """

    base_id: str = ""
    numbers: Base | None = None
    rope_base: float = 0.0
    context: int = 0
    vocabulary: Vocabulary | None = None
    blocks: int = 0
    strict: bool = False
    accepted: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A base as it is, from its header or as a daemon shows it.

    Attributes:
        name: what the user calls it.
        metadata: of its header; ``model_info`` of ``/api/show`` serves too.
        shapes: name → shape, rows first, of its tensors; empty where they are not told.
        vocabulary: None where it was not told.
    """

    name: str
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing in which a base is not what the adapter was trained on.

    Attributes:
        code: of it, as ``--base-mismatch-ok`` takes it.
        level: ``error``: it cannot load or is certainly wrong; ``warning``: it may be another version;
            ``note``: it does no harm, or cannot be told.
        expected: what the adapter was trained with; empty where `found` says it all.
        found: what the base has.
        advice: what to do.
    """

    code: str
    level: str
    expected: str
    found: str
    advice: str

    def __str__(self) -> str:
        """Return it as one line."""
        if not self.expected:
            return f"{self.code}: {self.found}"
        return f"{self.code}: the adapter was trained with {self.expected}, and the base has {self.found}"
