"""The value that describes one mismatch between a base and the base that an adapter was trained on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ollama_pack.message import Message

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True, slots=True)
class BaseMismatch:
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
