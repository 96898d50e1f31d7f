"""What can go wrong, one class per exit code.

The tree::

    PackError
    ├── InputError          3  the input cannot be read, or is damaged
    ├── UnsupportedError    4  understood, but it cannot be expressed exactly
    ├── ProofError          5  a proof failed
    ├── DestinationError    6  daemon, store or registry said no, or is not there
    └── RefusedError        7  refused, to protect what the user has

Exit code 1 stays a bug (with its traceback), 2 a usage error. Library code raises these and never
prints; the command line turns them into text at one place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

SHOWN_AT_MOST = 10
_INDEX_IN_NAME = re.compile(r"(?<=\.)(?:0|[1-9][0-9]{0,5})(?=\.)")
_INDEX_RANGE = re.compile(r"\{[0-9,-]+\}")


class PackError(Exception):
    """Something the user can act on.

    Args:
        what: the fault in the user's words, one sentence or a short list.
        where: the file, then the tensor or key inside it.
        hint: a command or option that exists and helps.
        subjects: topic → every tensor, module or setting concerned; `what` shows the first of them.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = "",
        hint: str = "",
        subjects: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where)
        self.hint = hint
        self.subjects = {about: list(subjects) for about, subjects in (subjects or {}).items()}

    @property
    def clause(self) -> str:
        """Return what is wrong as a part of a sentence."""
        return f"{self.what[:1].lower()}{self.what[1:].rstrip('.')}"

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in:  {self.where}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


class InputError(PackError):
    """The input cannot be read, or is damaged."""

    exit_code = 3


class UnsupportedError(PackError):
    """The input is understood, but it cannot be expressed exactly."""

    exit_code = 4


class ProofError(PackError):
    """A proof failed: which, its figure, its limit."""

    exit_code = 5


class DestinationError(PackError):
    """The daemon, the store or the registry said no, or is not there."""

    exit_code = 6


class RefusedError(PackError):
    """Going on would overwrite, erase or leak something of the user's."""

    exit_code = 7


def bullet_list(headline: str, problems: Sequence[str]) -> str:
    """Return `headline` followed by the sorted problems, at most ten and a count of the rest."""
    ordered = sorted(set(problems), key=natural_key)
    lines = [headline, *(f"  - {problem}" for problem in ordered[:SHOWN_AT_MOST])]
    if len(ordered) > SHOWN_AT_MOST:
        lines.append(f"  … and {len(ordered) - SHOWN_AT_MOST} more")
    return "\n".join(lines)


def fold_numbered_names(names: Iterable[str]) -> list[str]:
    """Return names, those that differ in their numbers as one: ``layers.{0-29}.experts.{0-7}.down_proj``.

    Every name can be told from the result. Numbers are those that stand alone between two dots. Where a
    name has such ranges of its own, all stay as they are.
    """
    names = list(dict.fromkeys(names))
    if any(_INDEX_RANGE.search(name) for name in names):
        return names
    braced = [name for name in names if "{" in name or "}" in name]
    names = [name for name in names if name not in set(braced)]
    blocks: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for name in names:
        pattern, numbers = _INDEX_IN_NAME.sub("{}", name), _INDEX_IN_NAME.findall(name)
        first = [int(number) for number in numbers[:1]]
        blocks.setdefault((pattern, tuple(numbers[1:])), []).extend(first)
    experts: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
    for (pattern, rest), firsts in blocks.items():
        second = [int(number) for number in rest[:1]]
        experts.setdefault((pattern, _ranges(firsts), rest[1:]), []).extend(second)
    return braced + [
        pattern.format(*(ranges for ranges in (first, _ranges(seconds)) if ranges), *rest)
        for (pattern, first, rest), seconds in experts.items()
    ]


def fold_by_reason(problems: Iterable[tuple[str, str]]) -> list[str]:
    """Return one line for the same problem of many weights, ``layers.{0-29}.q_proj (30 weights): …``.

    Args:
        problems: the name of each weight, and what is wrong with it. Reasons that differ only in the
            numbers between dots count as the same.
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, reason in problems:
        key = (_INDEX_IN_NAME.sub("{}", name), _INDEX_IN_NAME.sub("{}", reason))
        groups.setdefault(key, []).append((name, reason))
    lines = []
    for group in groups.values():
        names, reasons = (", ".join(fold_numbered_names(texts)) for texts in zip(*group, strict=True))
        count = f" ({len(group)} weights)" if len(group) > 1 else ""
        lines.append(f"{names}{count}: {reasons}")
    return lines


def _ranges(numbers: Iterable[int]) -> str:
    """Return whole numbers as ranges, ``{0-3,5}``; one alone as it is."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    text = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
    return text if text.isdigit() or not text else f"{{{text}}}"


def natural_key(text: str) -> list[tuple[int, str]]:
    """Return a sort key under which block 2 comes before block 10."""
    parts = re.split(r"(\d+)", text)
    # Numbers are compared by their length, then as text: a name may hold more digits than int() takes.
    numbers = (part.lstrip("0") for part in parts[1::2])
    keys = [(-1, part) for part in parts]
    keys[1::2] = [(len(number), number) for number in numbers]
    return keys


def one_line(text: str) -> str:
    """Return `text` so that it stays on its line, whatever is in it."""
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """Return `text` with escapes for what a terminal would act on: files name their tensors as they like."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
