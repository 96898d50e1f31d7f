"""The one place that prints sentences for people: escaped, coloured, and broken for the terminal.

Results (names, paths, documents) are printed as they are, since programs read them.
"""

import os
import sys
from typing import TextIO

import click

from ollama_pack.cli.fold import fold
from ollama_pack.errors import printable

LEVEL_COLORS = {"ok": "green", "warning": "yellow", "error": "red", "problem": "red"}
"""A colour says how well it is; labels of stages have none."""


def say(text: str, label: str = "", *, level: str | None = None, err: bool = False) -> None:
    """Print a text behind its label.

    Args:
        text: the text; control characters in it are escaped.
        label: what stands before the first line, with the spaces that end it.
        level: how well it is: one of `LEVEL_COLORS`; any other text makes the label bold, and None leaves it
            as it is.
        err: whether it goes to stderr; it does if it is not the result of the command.
    """
    folded = fold(printable(text), columns(sys.stderr if err else sys.stdout), label)
    if level is not None and label.strip() and folded.startswith(label.rstrip()):
        head = label.rstrip()
        folded = click.style(head, fg=LEVEL_COLORS.get(level), bold=True) + folded[len(head) :]
    click.echo(folded, err=err, color=color())


def columns(stream: TextIO) -> int:
    """Return the number of columns: that of COLUMNS, else of the terminal, else 0 for no limit."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit():
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):  # a stream without a file
        return 0


def color() -> bool | None:
    """Return False if NO_COLOR is set, else None, so that click decides by the terminal."""
    return False if os.environ.get("NO_COLOR") else None
