"""Chooses the views of a command: by its options, and by the runner that it runs on.

``--annotations auto`` recognises GitHub Actions and GitLab by the variables that they set for every job.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ollama_pack.cli.events.event import Event, View
from ollama_pack.disk.files import os_errors_as_destination_error, whole_file
from ollama_pack.errors import DestinationError

ANNOTATIONS = ("auto", "github", "gitlab", "none")
FORMATS = {
    "junit": "junit.junit",
    "sarif": "findings.sarif",
    "code-quality": "gitlab.code_quality",
    "dotenv": "gitlab.dotenv_variables",
    "summary": "summary.summary_markdown",
    "json-lines": "json_lines.event_lines",
}
"""The formats of ``--write``, each with the function that makes it of all events when a command ends."""

OUTPUTS = "github.step_outputs"


def render(maker: str, events: Sequence[Event], environment: Mapping[str, str]) -> str:
    """Return the text that a function of this room makes of events.

    Args:
        maker: the module and the function; the module is imported only now.
        events: all events of a command.
        environment: the environment variables of the process.
    """
    module, _, function = maker.partition(".")
    make = getattr(importlib.import_module(f"ollama_pack.cli.events.{module}"), function)
    return str(make(events, environment))


class EventFile:
    """Collects events, and writes them into a file at the end.

    Args:
        path: the file.
        maker: the function that makes its text, as in `FORMATS`.
        environment: the environment variables of the process.
        append: whether the runner made the file and others write to it, too.
    """

    def __init__(self, path: Path, maker: str, environment: Mapping[str, str], *, append: bool) -> None:
        self._path, self._maker, self._environment, self._append = path, maker, environment, append
        self._events: list[Event] = []

    def see(self, event: Event) -> None:
        """Take note of an event; write the file at the end.

        Raises:
            DestinationError: the file cannot be written.
        """
        if event.kind != "progress":
            self._events.append(event)
        if event.kind != "end":
            return
        content = render(self._maker, self._events, self._environment).encode()
        if self._append:
            with os_errors_as_destination_error(self._path), self._path.open("ab") as file:
                file.write(content)
        else:
            with whole_file(self._path) as file:
                file.write(content)


class RunnerFile(EventFile):
    """A file that the runner offers; a job does not fail because it cannot be written."""

    def see(self, event: Event) -> None:
        """Take note of an event; try to write the file at the end, and say if it cannot be written."""
        try:
            super().see(event)
        except DestinationError as error:
            from ollama_pack.cli.say import say

            say(f"{self._path} was not written: {error.clause}", "warning   ", level="warning", err=True)


def views_of(chosen: Mapping[str, Any], environment: Mapping[str, str]) -> list[View]:
    """Return the views of a command besides the terminal.

    Args:
        chosen: its options; one that it does not have counts as its default.
        environment: the environment variables of the process.
    """
    views: list[View] = []
    runner = _runner(chosen.get("annotations") or "auto", environment)
    if runner == "github":
        from ollama_pack.cli.events.github import GithubLog

        views.append(GithubLog(environment))
        for name, maker in (("GITHUB_STEP_SUMMARY", FORMATS["summary"]), ("GITHUB_OUTPUT", OUTPUTS)):
            if path := environment.get(name):
                views.append(RunnerFile(Path(path), maker, environment, append=True))
    elif runner == "gitlab":
        from ollama_pack.cli.events.gitlab import GitlabLog

        views.append(GitlabLog())
    if chosen.get("json_lines"):
        from ollama_pack.cli.events.json_lines import JsonLines

        views.append(JsonLines())
    for name, path in chosen.get("write") or ():
        views.append(EventFile(Path(path), FORMATS[name], environment, append=False))
    return views


def _runner(annotations: str, environment: Mapping[str, str]) -> str:
    """Return the runner whose conventions are followed: ``github``, ``gitlab`` or ``none``."""
    if annotations != "auto":
        return annotations
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environment.get("GITLAB_CI") == "true" else "none"
