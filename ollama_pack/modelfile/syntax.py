"""A Modelfile's concrete syntax: every character in an entry, every command with its value."""

import difflib
import re
from dataclasses import dataclass

from ollama_pack.errors import InputError
from ollama_pack.modelfile.quoting import LINE_PATTERN, kept, read_value

MODELFILE_COMMANDS = (
    "FROM",
    "ADAPTER",
    "DRAFT",
    "RENDERER",
    "PARSER",
    "REQUIRES",
    "TEMPLATE",
    "SYSTEM",
    "PARAMETER",
    "MESSAGE",
    "LICENSE",
)
"""All there are, in the order this package writes them."""

ROLES = ("system", "user", "assistant")
_NAME = re.compile(r"[ \t]*([^ \t][A-Za-z]*)([ \t]?)")
_KEY_PATTERNS = {"PARAMETER": re.compile(r"([A-Za-z0-9_]*)[ \t]"), "MESSAGE": re.compile(r"([A-Za-z]*)[ \t]")}
_BLANK = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: in capitals, ``PARAMETER``.
        key: the name of a PARAMETER, the role of a MESSAGE, else empty.
        value: without its quotes.
        line: where it starts, from 1.
    """

    name: str
    key: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Line:
    """A command as it is written, or one blank or comment line.

    Attributes:
        head: up to the value, ``  adapter ``; the whole line where there is no command.
        body: the value with its quotes.
        end: the line end behind it, empty at the end of some files.
        command: what it says, None for blank and comment lines.
    """

    head: str
    body: str
    end: str
    command: Command | None = None

    @property
    def text(self) -> str:
        """Return it exactly as written."""
        return self.head + self.body + self.end


@dataclass(frozen=True, slots=True)
class Modelfile:
    """A whole Modelfile.

    Attributes:
        entries: its text, in order.
        where: what error messages call it.
    """

    entries: tuple[Line, ...]
    where: str

    @property
    def commands(self) -> tuple[Command, ...]:
        """Return the commands, in order."""
        return tuple(entry.command for entry in self.entries if entry.command)

    def values(self, name: str, key: str = "") -> tuple[str, ...]:
        """Return the values of every `name` command (with that key), in order."""
        return tuple(found.value for found in self.commands if (found.name, found.key) == (name, key))

    def value(self, name: str, key: str = "") -> str:
        """Return the value that counts, the last one; empty where there is none.

        To Ollama, too, an empty text and none are the same.
        """
        return (self.values(name, key) or ("",))[-1]

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Return role and content of every MESSAGE, in order."""
        return tuple((found.key, found.value) for found in self.commands if found.name == "MESSAGE")


def print_modelfile(modelfile: Modelfile) -> str:
    """Return the text, exactly as it was written."""
    return "".join(entry.text for entry in modelfile.entries)


def read_entries(text: str, where: str) -> tuple[Line, ...]:
    """Cut `text` into entries whose texts, joined, are `text`.

    Raises:
        InputError: it is no Modelfile; the message names the line.
    """
    lines = LINE_PATTERN.findall(text)
    entries: list[Line] = []
    at = 0
    while at < len(lines):
        content = lines[at].rstrip("\r\n")
        if content.strip(" \t") and not content.lstrip(" \t").startswith("#"):
            entry, used = _read_command(lines, at, f"{where}, line {at + 1}")
        else:
            entry, used = Line(content, "", lines[at][len(content) :]), 1
        entries.append(entry)
        at += used
    return tuple(entries)


def closest_word(word: str, names: tuple[str, ...]) -> str:
    """Return the name most like `word`, or an empty string."""
    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.5)), "")


def _read_command(lines: list[str], at: int, where: str) -> tuple[Line, int]:
    content = lines[at].rstrip("\r\n")
    name, after = _read_name(content, where)
    key = ""
    if name in _KEY_PATTERNS:
        key, after = _read_key(name, content, after, where)
    blanks = _BLANK.match(content, after)
    start = blanks.end() if blanks else after
    value = read_value(lines, at, start)
    if value is None:
        raise InputError(
            f"The quotes around {name} never close.",
            where=where,
            hint="end the text with the quotes it starts with, as the last thing on a line",
        )
    body, read, used = value
    last = lines[at + used - 1]
    end = last[len(last.rstrip("\r\n")) :]
    return Line(content[:start], body, end, Command(name, key, read, at + 1)), used


def _read_name(content: str, where: str) -> tuple[str, int]:
    found = _NAME.match(content)
    word = kept(found[1]) if found else ""
    name = word.upper()
    if found and found[2] and word.isascii() and name in MODELFILE_COMMANDS:
        return name, found.end()
    if found and name in MODELFILE_COMMANDS and found.end() == len(content):
        raise InputError(
            f"{name} has no value on its line.", where=where, hint=f"{name} and a space, then the value"
        )
    shown = content.strip(" \t").partition(" ")[0]
    near = closest_word(shown.upper(), MODELFILE_COMMANDS)
    raise InputError(
        f"{shown[:40]!r} is no command; a line starts with {', '.join(MODELFILE_COMMANDS)} or #.",
        where=where,
        hint=f"did you mean {near}?" if near else 'put """ around a text of several lines',
    )


def _read_key(name: str, content: str, after: int, where: str) -> tuple[str, int]:
    found = _KEY_PATTERNS[name].match(content, after)
    key = found[1] if found else content[after:].strip(" \t")
    if name == "MESSAGE" and (found is None or key not in ROLES):
        near = closest_word(key.lower(), ROLES)
        raise InputError(
            f"{key[:40]!r} is no role; a MESSAGE is from {', '.join(ROLES)}, in lower case after one space.",
            where=where,
            hint=f"did you mean MESSAGE {near}?" if near else "MESSAGE user Hello",
        )
    if found is None or not key:
        raise InputError(
            "PARAMETER wants exactly one space, a name, a space and a value.",
            where=where,
            hint="PARAMETER temperature 0.7",
        )
    return key, found.end()
