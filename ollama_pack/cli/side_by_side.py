"""Puts two prompts side by side, line by line, with their special tokens marked."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import click

from ollama_pack.pipeline.prompt_rows import Pieces, prompt_rows

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
    for row in prompt_rows(left, right, special):
        mark = " " if row.is_equal else "!"
        parts = [list(_wrapped(_bracketed(line), column)) for line in (row.left, row.right)]
        for one, other in zip_longest(*parts, fillvalue=""):
            yield f"{one:<{column}}  {mark}  {other}".rstrip()


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
    """Return the names of the two columns."""
    return f"{left:<{_column(width)}}     {right}"


def _column(width: int) -> int:
    return max(_NARROWEST, (width - 5) // 2)


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Yield the pieces of a line that fit into a column."""
    for start in range(0, max(1, len(line)), width):
        yield line[start : start + width]
