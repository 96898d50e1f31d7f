"""The value that describes one mismatch between a base and what an adapter was trained on."""

from dataclasses import dataclass

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True, slots=True)
class BaseMismatch:
    """One thing in which a base is not what the adapter was trained on.

    Attributes:
        code: of it, as ``--base-mismatch-ok`` takes it.
        level: ``error``: it cannot load or is certainly wrong; ``warning``: it may be another version;
            ``note``: it does no harm, or cannot be told.
        expected: what the adapter was trained with; empty where `found` says it all.
        found: what the base has.
        hint: what to do.
    """

    code: str
    level: str
    expected: str
    found: str
    hint: str

    def __str__(self) -> str:
        """Return it as one line."""
        if not self.expected:
            return f"{self.code}: {self.found}"
        return f"{self.code}: the adapter was trained with {self.expected}, and the base has {self.found}"
