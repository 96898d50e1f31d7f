"""Breaks lines for a terminal: at spaces, with the indent kept, and commands so that they can be pasted.

See "Lines are broken where somebody looks" in docs/decisions.md.
"""

import os
import re
import unicodedata
from collections.abc import Iterator

NARROWEST = 20
"""The smallest number of columns that lines are broken for; a narrower terminal gets lines of this width."""

_START = re.compile(r" *(?:in:  |try: |- )?")
_COMMAND = re.compile(
    r"(?:[A-Z][A-Z_]*=(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+ )*"
    r"(?:sudo )?(?:ollama(?:-pack)?|hf|python3?|pip|git|cp|echo|mv|rm) "
)
"""How the lines begin that hold a command; two spaces end it, and then it is explained."""

_SHELL_WORD = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\\.|[^\s'\"\\])+")
_CELLS = re.compile(r"( *)(\S+(?: \S+)*)")


def fold(text: str, width: int, label: str = "") -> str:
    """Return a text behind its label, with lines of at most `width` columns.

    A word that is longer than a line stays whole. Cells, which two spaces or more keep apart, are broken only
    if they do not fit on a line of their own.

    Args:
        text: the text; each of its lines is broken by itself.
        width: the number of columns, or 0 for no limit.
        label: what stands before the first line; the other lines are indented as far.

    Example:
        >>> print(fold("a model that is here already", 24, "kept      "))
        kept      a model that
                  is here
                  already
    """
    lines: list[str] = []
    for number, line in enumerate(text.split("\n")):
        lead = label if number == 0 else " " * cells_of(label)
        if not width or cells_of(lead + line) <= width:
            lines.append((lead + line).rstrip())
        else:
            lines += _broken(lead, line, max(width, NARROWEST))
    return "\n".join(lines)


def cells_of(text: str) -> int:
    """Return the number of columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) != 0 for each in text)


def _broken(lead: str, line: str, width: int) -> Iterator[str]:
    """Yield the lines of a text that is too long for one."""
    if not lead and (start := _START.match(line)):
        lead, line = start[0], line[start.end() :]
    indent = cells_of(lead)
    if indent > width // 2:  # there is no room beside such a label
        line, lead = lead.lstrip() + line, lead[: len(lead) - len(lead.lstrip())]
        indent = cells_of(lead) + 4
    pad = " " * indent
    command, _, explained = line.partition("  ")
    words = _SHELL_WORD.findall(command)
    if _COMMAND.match(line) and not any(word.endswith(",") for word in words):
        yield from _broken_command(lead, words, width, pad)
        if explained:
            yield from _filled(f"{pad}  ", explained.strip(), width, f"{pad}  ")
    else:
        yield from _filled(lead, line, width, pad)


def _broken_command(lead: str, words: list[str], width: int, pad: str) -> Iterator[str]:
    """Yield the lines of a command, each but the last with the backslash that lets a shell go on.

    The shells of Windows have no such sign, so there a command stays on one line.
    """
    if os.name == "nt":
        yield lead + " ".join(words)
        return
    line = lead + words[0]
    for number, word in enumerate(words[1:], 2):
        more = "" if number == len(words) else " \\"
        if cells_of(f"{line} {word}{more}") <= width:
            line = f"{line} {word}"
        else:
            yield f"{line} \\"
            line = f"{pad}  {word}"
    yield line


def _filled(lead: str, text: str, width: int, pad: str) -> Iterator[str]:
    """Yield lines that are filled with the cells of a text, and with the words of cells that are too long."""
    line, fresh, first = lead, True, True
    for gap, cell in _CELLS.findall(text):
        whole = cells_of(pad + cell) <= width and cells_of(line + gap + cell) > width
        gap = gap if first else gap[:2]  # a line that goes on is no row of a table
        pieces = [cell] if whole or cells_of(line + gap + cell) <= width else cell.split(" ")
        for number, piece in enumerate(pieces):
            space = "" if fresh and not line.strip() else gap if number == 0 else " "
            if not fresh and cells_of(line + space + piece) > width:
                yield line.rstrip()
                line, space, first = pad, "", False
            line, fresh = line + space + piece, False
    yield line.rstrip()
