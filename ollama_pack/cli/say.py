"""The one place that writes to the terminal: one line at a time, escaped, coloured, and broken for its width.

Names, values and messages come from strangers. A terminal acts on control characters, and a reader believes
a line that looks like one of ours. So `say` prints one line of printable characters, cuts what is longer than
anybody reads, and leaves out passwords of addresses. tests/test_house.py finds other ways to print.
"""

import io
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import click

from ollama_pack.cli.fold import fold
from ollama_pack.errors import NEXT_LINE, PackError, one_line, printable
from ollama_pack.shown import hide_passwords, without_secrets

LEVEL_COLORS = {"ok": "green", "warning": "yellow", "error": "red", "problem": "red"}
"""Level → colour. The labels of stages have no colour."""

ERROR_LABEL = "Error: "

LONGEST_WORD, LONGEST_LINE = 1000, 10_000
"""Most characters of a word without a blank, as names and paths are, and of a whole line."""

_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
_COMMAND_START = re.compile(r"(?m)^(\s*)::")


def say(text: object = "", label: str = "", *, level: str | None = None, err: bool = False) -> None:
    """Print a text behind its label.

    Args:
        text: the text, which may contain anything.
        label: what stands before the first line, with the spaces that end it; it is escaped too.
        level: a key of `LEVEL_COLORS`, which colours the label; any other text makes it only bold, and None
            leaves it as it is.
        err: whether it goes to stderr, as everything does that is not the result of the command.
    """
    label = terminal_line(label)
    folded = fold(terminal_line(str(text)), columns(sys.stderr if err else sys.stdout), label)
    if level is not None and label.strip() and folded.startswith(label.rstrip()):
        head = label.rstrip()
        folded = click.style(head, fg=LEVEL_COLORS.get(level), bold=True) + folded[len(head) :]
    click.echo(disarmed(folded), err=err, color=color())


def say_command(line: str) -> None:
    """Print a line on stderr that a runner obeys; the caller has escaped every text in it."""
    click.echo(line, err=True, color=True)  # else click would take GitLab's escape sequences out


def say_error(error: PackError) -> None:
    """Print what is wrong, where, and what to try."""
    first, *more = error_lines(error)
    say(first, ERROR_LABEL, level="error", err=True)
    for line in more:
        say(line, err=True)


def say_usage(usage: str) -> None:
    """Print how a command is called, as click words it."""
    click.echo(disarmed(printable(usage)), err=True, color=color())


def say_result(text: str) -> None:
    """Print a result as it stands, for a program or a file; on a terminal its lines, escaped."""
    if is_terminal():
        text = "\n".join(one_line(line) for line in text.split("\n"))
    click.echo(text, nl=False, color=True)  # else click would take escape sequences out


def say_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document, in ASCII."""
    say_document(json_text(document, indent=2))


def say_document(text: str) -> None:
    """Print a document for a program, which `json_text` made."""
    click.echo(text)


def json_text(document: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return a JSON document in ASCII, without passwords; no runner takes a part of it for a command."""
    text = hide_passwords(json.dumps(document, indent=indent))
    return text.replace("…", "\\u2026").replace("\x7f", "\\u007f").replace("##[", "#\\u0023[")


def say_bug(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print the traceback of a bug, as `sys.excepthook`, with the secrets in its lines hidden."""
    import traceback

    for part in traceback.format_exception(kind, error, trace):
        click.echo(disarmed(printable(without_secrets(part))), nl=False, err=True)


def disarmed(text: str) -> str:
    """Return a text in which GitHub Actions finds no commands, if the process runs there.

    It obeys ``::name::`` at the start of a line of the log, and ``##[name]`` anywhere.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    return _COMMAND_START.sub(r"\1\\x3a:", text).replace("##[", r"#\x23[")


def ask(question: str) -> bool:
    """Return whether the user at the terminal agrees to a question of this package."""
    return click.confirm(question, err=True)


def read_line(prompt: str) -> str | None:
    """Return a line that the user types, or None at the end; `prompt` is shown where somebody types.

    What the locale cannot read is taken for UTF-8.
    """
    import contextlib

    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 — lines can be edited then
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.errors != "surrogateescape":  # before it is read
        sys.stdin.reconfigure(errors="surrogateescape")
    try:
        line = input(prompt if sys.stdin.isatty() else "")
    except EOFError:
        return None
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:  # bytes that the locale cannot read
        return line.encode(sys.stdin.encoding, "surrogateescape").decode("utf-8", "replace")
    return line


def error_lines(error: PackError) -> list[str]:
    """Return the lines of an error: what is wrong, where, and what to try."""
    where = [f"  in:  {one_line(error.where)}"] if error.where else []
    hint = NEXT_LINE.split(f"  try: {error.hint}") if error.hint else []
    return [*NEXT_LINE.split(error.what), *where, *hint]


def terminal_line(text: str) -> str:
    """Return a text as one line that a terminal shows and does not obey, cut where it is too long."""
    text = _LONG_WORD.sub(lambda word: _cut(word[0], LONGEST_WORD), hide_passwords(text))
    return one_line(_cut(text, LONGEST_LINE))


def _cut(text: str, most: int) -> str:
    """Return at most so many characters of a text, with its length if it has more."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def columns(stream: TextIO) -> int:
    """Return the number of columns: that of COLUMNS, else of the terminal, else 0 for no limit."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit():
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):  # a stream without a file
        return 0


def is_terminal() -> bool:
    """Return whether the results are shown on a terminal."""
    return sys.stdout.isatty()


def color() -> bool | None:
    """Return False if NO_COLOR is set, else None, so that click decides by the terminal."""
    return False if os.environ.get("NO_COLOR") else None
