"""The concrete syntax of a Modelfile: every character is in a `Line`, and every command has its value."""

import difflib
import re
from typing import NamedTuple

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
"""All commands, in the order in which this package writes them."""

ROLES = ("system", "user", "assistant")
_COMMAND_NAME = re.compile(r"[ \t]*([^ \t][A-Za-z]*)([ \t]?)")
_KEY_PATTERNS = {"PARAMETER": re.compile(r"([A-Za-z0-9_]*)[ \t]"), "MESSAGE": re.compile(r"([A-Za-z]*)[ \t]")}
_BLANK = re.compile(r"[ \t]*")


class Command(NamedTuple):
    """One command of a Modelfile.

    Attributes:
        name: the name of the command in capitals, ``PARAMETER``.
        key: the name of a PARAMETER or the role of a MESSAGE; an empty string for other commands.
        value: the value without quotes.
        line: the number of the line on which the command starts, from 1.
    """

    name: str
    key: str
    value: str
    line: int


class Line(NamedTuple):
    """A command as it is written, which may take several lines; or one blank or comment line.

    Attributes:
        head: the text before the value, ``  adapter ``; the whole line if it is blank or a comment.
        body: the value with its quotes; an empty string if there is no command.
        end: the line end after the value; an empty string at the end of a file without one.
        command: the command, or None for a blank or comment line.
    """

    head: str
    body: str
    end: str
    command: Command | None = None

    @property
    def text(self) -> str:
        """Return the text exactly as written."""
        return self.head + self.body + self.end


class Modelfile(NamedTuple):
    """A whole Modelfile.

    Attributes:
        entries: the commands, blank lines and comments, in order.
        where: the name of the file in messages.
    """

    entries: tuple[Line, ...]
    where: str

    @property
    def commands(self) -> tuple[Command, ...]:
        """Return the commands, in order."""
        return tuple(entry.command for entry in self.entries if entry.command)

    def values(self, name: str, key: str = "") -> tuple[str, ...]:
        """Return the values of all commands with this name and key, in order."""
        return tuple(command.value for command in self.commands if (command.name, command.key) == (name, key))

    def value(self, name: str, key: str = "") -> str:
        """Return the last value of a command, which is the one that counts, or an empty string.

        Ollama does not distinguish between an empty value and no command either.
        """
        return (self.values(name, key) or ("",))[-1]

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Return role and content of every MESSAGE, in order."""
        return tuple((command.key, command.value) for command in self.commands if command.name == "MESSAGE")


def print_modelfile(modelfile: Modelfile) -> str:
    """Return the text of a Modelfile, exactly as it was written."""
    return "".join(entry.text for entry in modelfile.entries)


def read_entries(text: str, where: str) -> tuple[Line, ...]:
    """Split `text` into entries; the concatenated texts of the entries are `text`.

    Raises:
        InputError: the text is not a Modelfile; the error names the line.
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
    """Return the name most similar to `word`, or an empty string if none is similar."""
    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.6)), "")


def _read_command(lines: list[str], at: int, where: str) -> tuple[Line, int]:
    """Return the command that starts in a line, and the number of lines that it takes."""
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
            f"The quotes around the value of {name} are not closed.",
            where=where,
            hint="end the text with the quotes it starts with, at the end of a line",
        )
    body, read, used = value
    last = lines[at + used - 1]
    end = last[len(last.rstrip("\r\n")) :]
    return Line(content[:start], body, end, Command(name, key, read, at + 1)), used


def _read_name(content: str, where: str) -> tuple[str, int]:
    """Return the name of the command in a line, in capitals, and the index after it and its space."""
    match = _COMMAND_NAME.match(content)
    word = kept(match[1]) if match else ""
    name = word.upper()
    if match and match[2] and word.isascii() and name in MODELFILE_COMMANDS:
        return name, match.end()
    if match and name in MODELFILE_COMMANDS and match.end() == len(content):
        raise InputError(
            f"{name} has no value on its line.", where=where, hint=f"{name} and a space, then the value"
        )
    shown = content.strip(" \t").partition(" ")[0]
    similar = closest_word(shown.upper(), MODELFILE_COMMANDS)
    raise InputError(
        f"{shown[:40]!r} is not a command; a line starts with {', '.join(MODELFILE_COMMANDS)} or #.",
        where=where,
        hint=f"did you mean {similar}?" if similar else 'put """ around a text of several lines',
    )


def _read_key(name: str, content: str, after: int, where: str) -> tuple[str, int]:
    """Return the parameter or role that follows a command's name, and the index after it and its space."""
    match = _KEY_PATTERNS[name].match(content, after)
    key = match[1] if match else content[after:].strip(" \t")
    if name == "MESSAGE" and (match is None or key not in ROLES):
        similar = closest_word(key.lower(), ROLES)
        raise InputError(
            f"{key[:40]!r} is not a role. The role after MESSAGE and one space is {', '.join(ROLES)}, in "
            "lower case.",
            where=where,
            hint=f"did you mean MESSAGE {similar}?" if similar else "MESSAGE user Hello",
        )
    if match is None or not key:
        raise InputError(
            "PARAMETER must be followed by exactly one space, a name, a space and a value.",
            where=where,
            hint="PARAMETER temperature 0.7",
        )
    return key, match.end()
