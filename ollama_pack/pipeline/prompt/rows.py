"""Puts two prompts side by side, line by line, and tells their special tokens apart from the other text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TypeAlias

Pieces: TypeAlias = tuple[tuple[str, bool], ...]
"""The pieces of a line, each with whether it is a special token."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A line of both prompts.

    Attributes:
        left: the line of the left text; empty if it has none here.
        right: the line of the right text; empty if it has none here.
        is_equal: whether both are the same.
    """

    left: Pieces
    right: Pieces
    is_equal: bool


def prompt_rows(left: str, right: str, special: Sequence[str]) -> Iterator[PromptRow]:
    r"""Yield the lines of two texts beside each other; what is not printable has an escape.

    Args:
        left: the one text.
        right: the other text.
        special: the special tokens, the longest first.

    Example:
        >>> for row in prompt_rows("<s>a\n", "<s>b\n", ["<s>"]):
        ...     print(row.left, row.right, row.is_equal)
        (('<s>', True), ('a\\n', False)) (('<s>', True), ('b\\n', False)) False
    """
    ours, theirs = (text.splitlines(keepends=True) for text in (left, right))
    for tag, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for one, other in zip_longest(ours[a:b], theirs[c:d], fillvalue=""):
            yield PromptRow(_pieces_of_line(one, special), _pieces_of_line(other, special), tag == "equal")


def _pieces_of_line(line: str, special: Sequence[str]) -> Pieces:
    """Return the pieces of a line."""
    pieces: list[tuple[str, bool]] = []
    known = [token for token in special if token and token in line]
    text, at = "", 0
    while at < len(line):
        token = next((each for each in known if line.startswith(each, at)), "")
        if token:
            pieces += [(_as_escape(text), False)] if text else []
            pieces.append((_as_escape(token), True))
            text = ""
        else:
            text += line[at]
        at += len(token) or 1
    return (*pieces, *([(_as_escape(text), False)] if text else []))


def _as_escape(text: str) -> str:
    """Return a text with escapes for what cannot be printed."""
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
