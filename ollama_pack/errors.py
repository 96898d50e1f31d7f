"""The errors of this package, one class for each exit code.

The tree::

    PackError
    ├── InputError          3  the input cannot be read, or is damaged
    │   └── UsageError      2  the request names what does not exist, or lacks something
    ├── UnsupportedError    4  the input is understood, but cannot be expressed exactly
    ├── ProofError          5  a proof failed
    ├── DestinationError    6  a daemon, store or registry does not answer, or refuses
    └── RefusedError        7  refused, to protect files or models of the user

Exit code 1 is a bug (with a traceback). The library raises these errors and prints nothing; the command line
turns them into text in one place. `code` tells errors of one class apart; docs/json.md lists the codes.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from ollama_pack.shown import without_secrets

SHOWN_AT_MOST = 10
"""Number of problems that `bullet_list` shows."""

NEXT_LINE = re.compile(r"\n(?= {2})")
"""Where a new line of a message begins: this package indents these lines. Line ends of foreign text are
escaped."""

_INDEX_IN_NAME = re.compile(r"(?<=\.)(?:0|[1-9][0-9]{0,5})(?=\.)")
_INDEX_RANGE = re.compile(r"\{[0-9,-]+\}")


class PackError(Exception):
    """An error that the user can act on. Its words have no passwords of addresses and no tokens.

    Args:
        what: what is wrong, in one sentence or a short list.
        where: the file, then the tensor or key inside it.
        hint: a command or an option that helps.
        subjects: topic → every tensor, module or setting concerned. `what` may show only the first of them.
        code: the name of the reason for programs, which stays the same when the words change; if it is empty,
            the `general_code` of the class.

    Example:
        >>> from ollama_pack import PackError, Request, build
        >>> try:
        ...     build(Request(directory="not-there"))
        ... except PackError as error:
        ...     print(error.exit_code, error.what, error.where)
        2 There is no such directory. not-there
    """

    exit_code: ClassVar[int] = 1
    general_code: ClassVar[str] = "error"

    def __init__(
        self,
        what: str,
        *,
        where: object = "",
        hint: str = "",
        subjects: Mapping[str, Sequence[str]] | None = None,
        code: str = "",
    ) -> None:
        self.what, self.where, self.hint = (without_secrets(str(text)) for text in (what, where, hint))
        super().__init__(self.what)
        self.code = code or self.general_code
        self.subjects = {about: list(subjects) for about, subjects in (subjects or {}).items()}

    @property
    def clause(self) -> str:
        """Return what is wrong as part of a sentence: one line without a full stop.

        It begins with a capital only if it begins with a name. The points of a list follow its headline;
        other lines, such as two prompts side by side, are left out.
        """
        headline, *more = NEXT_LINE.split(self.what)
        points = "; ".join(line.strip()[2:].rstrip(".") for line in more if line.strip().startswith("- "))
        text = f"{headline.rstrip('.:')}: {points}" if points else headline.rstrip(".")
        return text if text[1:2].isupper() or text.startswith("Ollama ") else f"{text[:1].lower()}{text[1:]}"

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in:  {self.where}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


class InputError(PackError):
    """The input cannot be read, or is damaged.

    Example:
        >>> from ollama_pack import InputError, read_adapter
        >>> try:
        ...     read_adapter("not-there")
        ... except InputError as error:
        ...     print(error.what)
        There is no such directory.
    """

    exit_code = 3
    general_code = "damaged"


class UsageError(InputError):
    """The request is wrong: it names something that does not exist, or lacks something that is needed.

    Example:
        >>> from ollama_pack import Request, UsageError, build
        >>> try:
        ...     build(Request(directory="ada-lovelace-lora", base="smollm2:135m", template="none-such"))
        ... except UsageError as error:
        ...     print(error.exit_code, error.code)
        2 no-such-template
    """

    exit_code = 2
    general_code = "usage"


class UnsupportedError(PackError):
    """The input is understood, but it cannot be expressed exactly.

    Example:
        >>> from ollama_pack import Request, UnsupportedError, build
        >>> try:
        ...     build(Request(directory="ada-lovelace-lora", base="smollm2:135m", system=chr(0)))
        ... except UnsupportedError as error:
        ...     print(error.exit_code, error.code)
        4 modelfile-cannot-hold
    """

    exit_code = 4
    general_code = "unsupported"


class ProofError(PackError):
    """A proof failed; the message gives its figure and its limit.

    Example:
        >>> from ollama_pack import ProofError
        >>> ProofError("ΔW is off by 2.0e-02 (limit 9.8e-04).").exit_code
        5
    """

    exit_code = 5
    general_code = "proof"


class DestinationError(PackError):
    """A daemon, a store or a registry does not answer, or refuses.

    Example:
        >>> from ollama_pack import DestinationError, Request, build
        >>> try:
        ...     build(Request(directory="ada-lovelace-lora", base="smollm2:135m", via="create"))
        ... except DestinationError as error:
        ...     print(error.what)
        No Ollama daemon answers.
    """

    exit_code = 6
    general_code = "destination"


class RefusedError(PackError):
    """To go on would overwrite, erase or leak something that belongs to the user.

    Example:
        >>> from ollama_pack import RefusedError, Request, build
        >>> try:
        ...     build(Request(directory="ada-lovelace-lora", base="smollm2:135m", name="smollm2:135m"))
        ... except RefusedError as error:
        ...     print(error.what)
        smollm2:135m would replace its own base.
    """

    exit_code = 7
    general_code = "refused"


def file_in_the_way(path: Path, why: str = "", *, hint: str) -> RefusedError:
    """Return the error for a file or directory that stands where something else would be written.

    Args:
        path: the place.
        why: why what is there is not replaced, as a clause.
        hint: what the user may do.
    """
    kind = "directory" if path.is_dir() else "file"
    what = f"There is a {kind} of this name already{f', and {why}' if why else ''}."
    return RefusedError(what, where=path, hint=hint, code="file-in-the-way")


def bullet_list(headline: str, problems: Sequence[str]) -> str:
    """Return `headline` and the sorted problems below it: at most ten, then the number of the others."""
    ordered = sorted(set(problems), key=natural_key)
    lines = [headline, *(f"  - {problem}" for problem in ordered[:SHOWN_AT_MOST])]
    if len(ordered) > SHOWN_AT_MOST:
        lines.append(f"  … and {len(ordered) - SHOWN_AT_MOST} more")
    return "\n".join(lines)


def fold_numbered_names(names: Iterable[str]) -> list[str]:
    """Return names, with those that differ only in numbers folded: ``layers.{0-29}.experts.{0-7}.down_proj``.

    No information is lost: the names can be recovered from the result. A number counts if it stands alone
    between two dots. If a name contains text like ``{0-7}`` already, all names are returned unfolded.
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
    """Return whole numbers as ranges, ``{0-3,5}``; a single number has no braces."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    text = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
    return text if text.isdigit() or not text else f"{{{text}}}"


def natural_key(text: str) -> list[str]:
    """Return a sort key that puts layer 2 before layer 10."""
    parts = re.split(r"(\d+)", text)
    for at in range(1, len(parts), 2):
        # A number's length goes first, as a character: a name may hold more digits than int() accepts.
        number = parts[at].lstrip("0")
        parts[at] = chr(min(len(number), sys.maxunicode)) + number
    return parts


def one_line(text: str) -> str:
    """Return `text` on one line, with escapes for line ends and for what a terminal would interpret."""
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """Return `text` with escapes for control characters.

    Names of tensors and files come from strangers, and a terminal would act on control characters in them.
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
