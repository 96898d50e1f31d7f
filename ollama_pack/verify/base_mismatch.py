"""A mismatch between a base and the one that an adapter was trained on: code, level, hint, what it stops."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.errors import ProofError
from ollama_pack.message import Message

ERROR, WARNING, NOTE = "error", "warning", "note"

FATAL = frozenset({"architecture", "fit", "row-order"})
"""The codes that --base-mismatch-ok does not accept: the model would not load, or its rows are misplaced."""

OTHER_BASE = "--base with the model that the adapter was trained on"
SAME_WEIGHTS = "if it has exactly the weights used in training, --base-mismatch-ok {code}"
MISMATCHES: Mapping[str, tuple[str, str]] = {
    "architecture": (ERROR, OTHER_BASE),
    "fit": (ERROR, OTHER_BASE),
    "row-order": (ERROR, "build again, with --base naming the GGUF file of this base or an installed model"),
    "blocks": (ERROR, OTHER_BASE),
    "hidden": (ERROR, OTHER_BASE),
    "heads": (ERROR, OTHER_BASE),
    "kv-heads": (ERROR, OTHER_BASE),
    "head-dim": (ERROR, OTHER_BASE),
    "feed-forward": (ERROR, OTHER_BASE),
    "fewer-blocks": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "tokens": (ERROR, OTHER_BASE),
    "vocabulary": (ERROR, "train without the new tokens, or --base with a model that has rows for them"),
    "added-tokens": (WARNING, f"Ollama will not treat them as single tokens; {SAME_WEIGHTS}"),
    "merges": (WARNING, f"the same text would become other tokens: {OTHER_BASE}; {SAME_WEIGHTS}"),
    "bos": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "eos": (WARNING, f"answers may not stop where they should: --parameter stop=…; {SAME_WEIGHTS}"),
    "pad": (NOTE, "no harm, because Ollama does not pad"),
    "rope-base": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "norm-epsilon": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "context": (WARNING, f"it may be another release of the same model; {SAME_WEIGHTS}"),
    "relative": (WARNING, f"{OTHER_BASE}; {SAME_WEIGHTS}"),
    "moved": (WARNING, f"pull or import the weights used in training again; {SAME_WEIGHTS}"),
    "untold": (NOTE, "ollama show, or the page where the file was published, may tell"),
}
"""The code of each mismatch, with its level and the hint. docs/base.md is checked against this table."""


class BaseMismatch(NamedTuple):
    """One mismatch between a base and what the adapter was trained on.

    Attributes:
        code: the code of the mismatch, which ``--base-mismatch-ok`` accepts.
        level: ``error`` if the base does not load or is certainly wrong, ``warning`` if it may be another
            version, ``note`` if the mismatch does no harm or cannot be decided.
        expected: what the adapter was trained with, or '' if `found` is a whole message.
        found: what the base has.
        hint: what the user can do, with ``{code}`` for the code.
    """

    code: str
    level: str
    expected: str
    found: str
    hint: str

    def __str__(self) -> str:
        """Return the mismatch as one line without its hint."""
        if not self.expected:
            return f"{self.code}: {self.found}"
        return f"{self.code}: the adapter was trained with {self.expected}, and the base has {self.found}"

    def message(self, text: str, accepted: Collection[str]) -> Message:
        """Return a line about the mismatch, with the mismatch as its values.

        Args:
            text: the line.
            accepted: the codes that the user accepts.
        """
        values = {"code": self.code, "level": self.level, "trained": self.expected, "found": self.found}
        return Message(text, "base-mismatch", mismatch={**values, "accepted": self.code in accepted})


def agreement(base: str, agreed: Sequence[str], *, complete: bool) -> Message:
    """Return the line that says in what a base agrees with the one in training.

    Args:
        base: the name of the base.
        agreed: the names of what agrees.
        complete: whether the tokens were compared, too.
    """
    text = f"base {'proved' if complete else 'proved in part'}: {base} agrees in {', '.join(agreed)}"
    return Message(text, "base-agrees", base=base, agrees=list(agreed))


def mismatch_of(code: str, expected: str, found: str) -> BaseMismatch:
    """Return the mismatch with the level and the hint of its code."""
    level, hint = MISMATCHES[code]
    return BaseMismatch(code, level, expected, found, hint)


def stop_at_mismatches(trained: ExpectedBase, mismatches: Sequence[BaseMismatch], name: str) -> list[str]:
    """Return the lines to show for mismatches that do not stop a build; notes have none.

    Args:
        trained: what is known about the base in training, and which mismatches the user accepts.
        mismatches: the mismatches, the worst first.
        name: the name of the found base.

    Raises:
        ProofError: there is an error that the user does not accept, or a warning if `trained` is strict.
    """
    stops = [each for each in mismatches if _stops(each, trained)]
    if stops:
        lines = [f"  - {each}\n    try: {each.hint.format(code=each.code)}" for each in stops]
        is_not = "is not" if any(each.level == ERROR for each in stops) else "may not be"
        raise ProofError(
            "\n".join([f"{name} {is_not} the base this adapter was trained on.", *lines]),
            subjects={each.code: [each.expected, each.found] for each in stops},
            code="base-mismatch",
        )
    return [_mismatch_line(each, trained) for each in mismatches if each.level != NOTE]


def _mismatch_line(mismatch: BaseMismatch, trained: ExpectedBase) -> str:
    """Return the mismatch with its hint, or with the remark that the user accepts it."""
    accepted = mismatch.code in trained.accepted
    end = " (accepted)" if accepted else f"; {mismatch.hint.format(code=mismatch.code)}"
    return mismatch.message(f"{mismatch}{end}", trained.accepted)


def _stops(mismatch: BaseMismatch, trained: ExpectedBase) -> bool:
    """Return whether the mismatch fails the proof."""
    if mismatch.code in trained.accepted and mismatch.code not in FATAL:
        return False
    return mismatch.level == ERROR or (trained.strict and mismatch.level == WARNING)
