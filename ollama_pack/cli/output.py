"""Prints progress for people on stderr, and JSON documents on stdout."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ollama_pack.cli.events.event import Event, View
from ollama_pack.cli.events.terminal import Terminal
from ollama_pack.cli.events.views import views_of
from ollama_pack.cli.say import say_json
from ollama_pack.errors import PackError

JSON_SCHEMA_VERSION = 1


class Console:
    """Reports what happens in a command, as events, to the terminal and to every other view.

    Attributes:
        for_programs: whether stdout has a document or events, and so nothing else.
    """

    def __init__(
        self,
        *,
        verbose: bool = False,
        quiet: bool = False,
        for_programs: bool = False,
        views: Sequence[View] = (),
    ) -> None:
        self.for_programs = for_programs
        self._views = (Terminal(verbose=verbose, quiet=quiet), *views)
        self._silent = quiet and not views
        self._source = ""

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> "Console":
        """Return the console of this command, with the settings of its options."""
        console = cls(
            verbose=chosen["verbose"],
            quiet=chosen["quiet"],
            for_programs=chosen["as_json"] or chosen.get("json_lines", False),
            views=views_of(chosen, os.environ),
        )
        click.get_current_context().meta[CONSOLE] = console
        return console

    def stage_done(self, stage: str, value: object) -> None:
        """Report that a stage is finished, and what it made."""
        if self._silent:
            return
        from ollama_pack.cli.value_lines import is_warning, lines_of

        line, notes, details = lines_of(value)
        told = [
            {"level": "warning" if is_warning(text) else "", "code": getattr(text, "code", ""), "text": text}
            for text in notes
        ]
        self._tell("stage", {"stage": stage, "line": line, "notes": told, "details": list(details)})

    def progress(self, label: str, done: int, total: int) -> None:
        """Report the progress of a long step: `done` of `total` bytes."""
        if not self._silent:
            self._tell("progress", {"label": label, "done": done, "total": total})

    def begin(self, source: str, number: int, total: int) -> None:
        """Report that one of several directories is begun; what follows is about it until `finish`."""
        self._source = source
        self._tell("begin", {"number": number, "total": total})

    def finish(self) -> None:
        """Report that a directory of several is finished."""
        self._tell("finish", {})
        self._source = ""

    def failed(self, error: PackError, *, printed: bool = False) -> None:
        """Report that something failed; `printed` says whether the error is on the terminal already."""
        self._tell("error", error_facts(error), None if printed else error)

    def made(self, kind: str, document: Mapping[str, Any]) -> None:
        """Report a result: the document that ``--json`` prints, without its version."""
        self._tell("result", {"kind": kind, "document": document})

    def end(self, exit_code: int) -> None:
        """Report that the command ends; then every file is written.

        Raises:
            DestinationError: a file that an option names cannot be written.
        """
        self._tell("end", {"exit_code": exit_code})

    def _tell(self, kind: str, facts: Mapping[str, Any], value: object = None) -> None:
        """Show an event in every view."""
        event = Event(kind, facts, self._source, value)
        for view in self._views:
            view.see(event)


CONSOLE = "ollama_pack.console"
"""The key of a command's console in click's context, for the place where errors end."""


def error_facts(error: PackError) -> dict[str, Any]:
    """Return the JSON object of an error, with every tensor or setting concerned."""
    return {
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "try": error.hint,
        "found": error.subjects,
        "exit_code": error.exit_code,
    }


def print_json(kind: str, content: Mapping[str, Any]) -> None:
    """Print a JSON document with its kind, the version of its schema, and its content."""
    say_json({"schema_version": JSON_SCHEMA_VERSION, "kind": kind, **content})
