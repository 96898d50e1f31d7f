"""Puts two prompts side by side, line by line, with their special tokens marked."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import click

from ollama_pack.cli.fold import cells_of
from ollama_pack.pipeline.prompt.rows import Pieces, prompt_rows

_OPEN, _CLOSE = "[", "]"
_GAP = 5
_NARROWEST = 24
"""Number of columns below which lines that differ stand one below the other, as in a diff."""


def side_by_side(left: str, right: str, special: Sequence[str], width: int) -> Iterator[str]:
    r"""Yield the lines of two texts in two columns; lines that differ have a mark between them.

    A special token stands in brackets, and what a terminal would interpret has an escape. A terminal without
    room for two columns gets the lines below each other, those that differ with ``-`` and ``+``.

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
    for row in prompt_rows(left, right, special):
        sides = [_bracketed(line) for line in (row.left, row.right)]
        if not column:
            signs = (" ",) if row.is_equal else ("-", "+")
            for sign, side in zip(signs, sides, strict=False):
                yield from (f"{sign} {part}" for part in _wrapped(side, width - 2) if side)
            continue
        mark = " " if row.is_equal else "!"
        for one, other in zip_longest(*(_wrapped(side, column) for side in sides), fillvalue=""):
            yield f"{one}{' ' * (column - cells_of(one))}  {mark}  {other}".rstrip()


def _bracketed(pieces: Pieces) -> str:
    """Return a line with its special tokens in brackets."""
    return "".join(f"{_OPEN}{text}{_CLOSE}" if is_special else text for text, is_special in pieces)


def terminal_width() -> int:
    """Return the number of columns of the terminal, within what can be read."""
    import shutil

    context = click.get_current_context(silent=True)
    given = context.terminal_width if context else None
    return min(given or shutil.get_terminal_size().columns, 160)


def heading(left: str, right: str, width: int) -> str:
    """Return the names of the two columns, or of the signs ``-`` and ``+`` if there is no room for two."""
    column = _column(width)
    return f"{left:<{column}}{' ' * _GAP}{right}" if column else f"- {left}, + {right}"


def _column(width: int) -> int:
    """Return the number of columns for each text, or 0 if there is no room for two."""
    column = (width - _GAP) // 2
    return column if column >= _NARROWEST else 0


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Yield the pieces of a line that fit into a column, of which some characters take two."""
    piece, room = "", max(width, 2)
    for character in line:
        if cells_of(piece + character) > room:
            yield piece
            piece = ""
        piece += character
    yield piece
