"""The view for programs that follow a command: each event as one line of JSON."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_pack.cli.events.event import Event
from ollama_pack.cli.progress import EVERY
from ollama_pack.cli.say import json_text, say_document

EVENTS_SCHEMA_VERSION = 1


class JsonLines:
    """Prints each event as a line on stdout; of the progress of a step, one line in ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def see(self, event: Event) -> None:
        """Print an event."""
        if event.kind == "progress":
            if time.monotonic() - self._last < EVERY:
                return
            self._last = time.monotonic()
        say_document(event_line(event))


def event_line(event: Event) -> str:
    """Return an event as one line of JSON in ASCII."""
    return json_text(event_facts(event))


def event_lines(events: Sequence[Event], _environment: Mapping[str, str]) -> str:
    """Return all events, one on each line."""
    return "".join(f"{event_line(event)}\n" for event in events)


def event_facts(event: Event) -> dict[str, Any]:
    """Return an event as a JSON object."""
    known = {"schema_version": EVENTS_SCHEMA_VERSION, "event": event.kind, "source": event.source}
    return {**known, **event.facts}
