"""The type of a rule, which is one reason for which an adapter is not written."""

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """What a violated rule means for the adapter. The value is the headline of the error."""

    DAMAGED = "The adapter is damaged, or its files do not belong together:"
    UNSUPPORTED = "A GGUF LoRA file cannot hold this adapter exactly:"


class Rule(NamedTuple):
    """One reason for which an adapter is not written.

    Attributes:
        severity: damaged (exit code 3) or unsupported (exit code 4).
        feature: the feature or fault that the rule is about, as a heading.
        reason: why it is unsupported, or what is wrong. It is a clause without a full stop.
        hint: what the user can do: a command, an option or a call.
    """

    severity: Severity
    feature: str
    reason: str
    hint: str
