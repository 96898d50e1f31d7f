"""The event: one thing that happened in a command, as values of JSON. Every view is made of these alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

EVENT_KINDS = ("begin", "stage", "progress", "error", "result", "finish", "end")
"""What an event may be, in the order in which a command reports them; docs/json.md describes each."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: one of `EVENT_KINDS`.
        facts: its values, which can be written as JSON.
        source: the directory of a batch that it is about, or an empty text.
        value: what the facts were made of, for a view that shows more than values of JSON.
    """

    kind: str
    facts: Mapping[str, Any]
    source: str = ""
    value: object = field(default=None, compare=False)


class View(Protocol):
    """Shows events somewhere."""

    def see(self, event: Event) -> None:
        """Take note of an event, and show it now or at the end."""


def messages(event: Event) -> list[tuple[str, str, str]]:
    """Return level, code and text of each message that matters: an error, or the warnings of a stage."""
    facts = event.facts
    if event.kind == "error":
        text = [facts["what"], *(f"{label}{facts[key]}" for key, label in _ERROR_PARTS if facts[key])]
        return [("error", facts["code"], "\n".join(text))]
    if event.kind == "stage":
        return [(each["level"], each["code"], each["text"]) for each in facts["notes"] if each["level"]]
    return []


_ERROR_PARTS = (("where", "in: "), ("try", "try: "))
