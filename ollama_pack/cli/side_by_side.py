"""Puts two prompts side by side, line by line, with their special tokens marked."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

import click

_OPEN, _CLOSE = "[", "]"
_NARROWEST = 24


def side_by_side(left: str, right: str, special: Sequence[str], width: int) -> Iterator[str]:
    r"""Yield the lines of two texts in two columns; lines that differ have a mark between them.

    A special token stands in brackets, and what a terminal would interpret has an escape.

    Args:
        left: the one text.
        right: the other text.
        special: the special tokens, the longest first.
        width: the number of columns of the terminal.

    Example:
        >>> list(side_by_side("<s>a\n", "<s> a\n", ["<s>"], 60))
        ['[<s>]a\\n                    !  [<s>] a\\n']
    """
    column = _column(width)
    ours, theirs = (_lines_of(text, special) for text in (left, right))
    for tag, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        mark = " " if tag == "equal" else "!"
        for pair in zip_longest(ours[a:b], theirs[c:d], fillvalue=""):
            parts = [list(_wrapped(line, column)) for line in pair]
            for one, other in zip_longest(*parts, fillvalue=""):
                yield f"{one:<{column}}  {mark}  {other}".rstrip()


def marked(text: str, special: Iterable[str]) -> str:
    """Return a text with its special tokens in brackets, on one line that a terminal does not interpret."""
    parts, at, known = [], 0, [token for token in special if token in text]
    while at < len(text):
        token = next((each for each in known if text.startswith(each, at)), "")
        shown = f"{_OPEN}{_as_escape(token)}{_CLOSE}" if token else _as_escape(text[at])
        parts.append(shown)
        at += len(token) or 1
    return "".join(parts)


def terminal_width() -> int:
    """Return the number of columns of the terminal, within what can be read."""
    import shutil

    context = click.get_current_context(silent=True)
    given = context.terminal_width if context else None
    return min(given or shutil.get_terminal_size().columns, 160)


def heading(left: str, right: str, width: int) -> str:
    """Return the names of the two columns."""
    return f"{left:<{_column(width)}}     {right}"


def _column(width: int) -> int:
    return max(_NARROWEST, (width - 5) // 2)


def _lines_of(text: str, special: Sequence[str]) -> list[str]:
    return [marked(line, special) for line in text.splitlines(keepends=True)]


def _as_escape(text: str) -> str:
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Yield the pieces of a line that fit into a column."""
    for start in range(0, max(1, len(line)), width):
        yield line[start : start + width]
