"""GitHub Actions: groups and annotations in the log, and the outputs of a step.

The runner obeys what is written here, so each part is escaped as GitHub's toolkit does it: the text of a
command ends at a line end, and a property also at a colon or a comma.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_pack.cli.events.event import Event, messages
from ollama_pack.cli.events.place import file_at, repository_root
from ollama_pack.cli.events.results import made_rows
from ollama_pack.cli.say import say_command, terminal_line
from ollama_pack.errors import printable
from ollama_pack.shown import hide_passwords

LONGEST_TEXT = 4000
"""Most characters of an annotation, of which the page of a run shows 4,096."""

_TEXT = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_TEXT, ":": "%3A", ",": "%2C"}


class GithubLog:
    """Prints groups and annotations, as commands of a workflow."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._root = repository_root(environment)

    def see(self, event: Event) -> None:
        """Print the commands of an event."""
        if event.kind == "begin":
            number, total = event.facts["number"], event.facts["total"]
            say_command(workflow_command("group", f"{number} of {total}: {event.source}"))
        elif event.kind == "finish":
            say_command(workflow_command("endgroup", ""))
        for level, code, text in messages(event):
            where = event.facts.get("where", "")
            file = file_at(where, self._root)
            title = " ".join(filter(None, (event.source, code or event.facts.get("stage", ""))))
            say_command(workflow_command(level, text, {"file": file, "title": f"ollama-pack: {title}"}))


def workflow_command(name: str, text: str, properties: Mapping[str, str] | None = None) -> str:
    """Return a command of a workflow on one line; empty properties are left out.

    Example:
        >>> workflow_command("error", "one\\ntwo", {"file": "a,b.json", "title": ""})
        '::error file=a%2Cb.json::one%0Atwo'
    """
    told = ",".join(
        f"{key}={_escaped_for_runner(terminal_line(value), _PROPERTY)}"
        for key, value in (properties or {}).items()
        if value
    )
    return f"::{name}{' ' if told else ''}{told}::{_escaped_for_runner(_bounded_text(text), _TEXT)}"


def step_outputs(events: Sequence[Event], _environment: Mapping[str, str]) -> str:
    """Return the outputs of a step as GITHUB_OUTPUT takes them: name, digest and path.

    With several models, each output has a line for each model, in the same order. A command that made nothing
    has no outputs.
    """
    rows = made_rows(events)
    if not rows:
        return ""
    outputs = {key: "\n".join(_one_line_of(row[key]) for row in rows) for key in ("name", "digest", "path")}
    return "".join(_heredoc(key, value) for key, value in outputs.items())


def _heredoc(name: str, value: str) -> str:
    """Return an output with a delimiter that nobody can predict, and that is not in the value."""
    delimiter = f"ollama_pack_{secrets.token_hex(16)}"
    assert delimiter not in value, "128 bits that were just drawn are in no text"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _one_line_of(value: Any) -> str:
    """Return a value on one line."""
    return printable(str(value)).replace("\n", "\\n")


def _bounded_text(text: str) -> str:
    """Return a text of several lines without control characters, cut where the runner would cut it."""
    text = printable(hide_passwords(text))
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _escaped_for_runner(text: str, table: Mapping[str, str]) -> str:
    """Return a text whose special characters are written as the runner reads them."""
    # `##[` is a command of the runner wherever it stands in a line.
    return "".join(table.get(character, character) for character in text).replace("##[", "#%23[")
