"""GitLab: sections in the log, a report of code quality, and the variables of a dotenv report."""

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence

from ollama_pack.cli.events.event import Event, messages
from ollama_pack.cli.events.place import file_at, repository_root
from ollama_pack.cli.events.results import made_rows
from ollama_pack.cli.say import say_command, terminal_line
from ollama_pack.errors import one_line, printable
from ollama_pack.shown import hide_passwords

_CLEAR = "\x1b[0K"


class GitlabLog:
    """Prints a section for each directory of a batch."""

    def __init__(self) -> None:
        self._section = ""

    def see(self, event: Event) -> None:
        """Print the start or the end of a section."""
        if event.kind == "begin":
            self._section = f"ollama_pack_{event.facts['number']}"
            title = terminal_line(f"{event.facts['number']} of {event.facts['total']}: {event.source}")
            say_command(f"{_CLEAR}section_start:{int(time.time())}:{self._section}\r{_CLEAR}{title}")
        elif event.kind == "finish":
            say_command(f"{_CLEAR}section_end:{int(time.time())}:{self._section}\r{_CLEAR}")


def dotenv_variables(events: Sequence[Event], _environment: Mapping[str, str]) -> str:
    """Return name, digest and path of the last model as the variables of a dotenv report.

    GitLab has no quotes and no line ends there, so a value that would need one is left out. The jobs that get
    the variables may run ollama-pack, so none of them is one that stands for an option.
    """
    rows = made_rows(events)
    values = {key: str(rows[-1][key]) for key in ("name", "digest", "path")} if rows else {}
    return "".join(
        f"PACKED_{key.upper()}={value}\n"
        for key, value in values.items()
        if re.fullmatch(r"[\w ./:+@=,-]*", value, re.ASCII)
    )


def code_quality(events: Sequence[Event], environment: Mapping[str, str]) -> str:
    """Return errors and warnings as a report of code quality, which a merge request shows."""
    root = repository_root(environment)
    found = []
    for event in events:
        for level, code, text in messages(event):
            text = printable(hide_passwords(text))
            place = file_at(str(event.facts.get("where", "")), root) or event.source or "."
            rule = code or str(event.facts.get("stage", ""))
            print_of = "\0".join((rule, place, text))
            found.append(
                {
                    "description": text,
                    "check_name": one_line(rule),
                    "fingerprint": hashlib.sha256(print_of.encode("utf-8", "backslashreplace")).hexdigest(),
                    "severity": {"error": "critical", "warning": "minor"}[level],
                    "location": {"path": one_line(place), "lines": {"begin": 1}},
                }
            )
    return json.dumps(found, indent=2) + "\n"
