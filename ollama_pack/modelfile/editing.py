"""Change one command of a Modelfile, leave every other character alone."""

from dataclasses import replace

from ollama_pack.errors import InputError
from ollama_pack.modelfile.parser import command_fault, parse
from ollama_pack.modelfile.quoting import quoted
from ollama_pack.modelfile.syntax import MODELFILE_COMMANDS, ROLES, Command, Line, Modelfile, print_modelfile


def with_command(modelfile: Modelfile, name: str, value: str, *, key: str = "") -> Modelfile:
    """Return the Modelfile with the command set; setting the same again changes nothing.

    A command that counts once replaces the last one of its kind where it stands, and the earlier ones
    go. LICENSE, MESSAGE and ``PARAMETER stop`` accumulate: they are added unless they are there. A new
    command goes behind the last one that `MODELFILE_COMMANDS` puts before it, so ADAPTER follows FROM.

    Args:
        modelfile: what to change.
        name: the command, in capitals.
        value: its text, without quotes.
        key: the name of a PARAMETER or the role of a MESSAGE.

    Raises:
        InputError: no such command, parameter or role, or a value of the wrong type.
        UnsupportedError: a Modelfile cannot carry the text.
    """
    label = f"{name} {key}".strip()
    _check(Command(name, key, value, 0), label)
    body = quoted(value, where=f"{modelfile.where}, {label}")
    entries = list(modelfile.entries)
    found = _places(modelfile, name, key)
    if name in ("LICENSE", "MESSAGE") or (name, key) == ("PARAMETER", "stop"):
        if value in modelfile.values(name, key):
            return modelfile
        return _inserted(modelfile, name, Line(f"{label} ", body, ""))
    if not found:
        return _inserted(modelfile, name, Line(f"{label} ", body, ""))
    if modelfile.value(name, key) != value:
        entries[found[-1]] = replace(entries[found[-1]], body=body)
    return _joined(modelfile, [entry for place, entry in enumerate(entries) if place not in found[:-1]])


def without_command(modelfile: Modelfile, name: str, *, key: str = "", value: str | None = None) -> Modelfile:
    """Return the Modelfile without any command of that name and key (and value, where one is given)."""
    found = [
        place
        for place in _places(modelfile, name, key)
        if (command := modelfile.entries[place].command) and value in (None, command.value)
    ]
    return _joined(modelfile, [entry for place, entry in enumerate(modelfile.entries) if place not in found])


def without_comment(modelfile: Modelfile, line: str) -> Modelfile:
    """Return the Modelfile without the comment lines that are exactly `line`."""
    return _joined(modelfile, [entry for entry in modelfile.entries if entry.command or entry.head != line])


def _check(command: Command, label: str) -> None:
    if command.name not in MODELFILE_COMMANDS:
        raise InputError(f"There is no command {command.name}; there are {', '.join(MODELFILE_COMMANDS)}.")
    if command.name == "MESSAGE" and command.key not in ROLES:
        raise InputError(f"There is no role {command.key!r}; there are {', '.join(ROLES)}.", where=label)
    if what := command_fault(command):
        raise InputError(f"{what[0].upper()}{what[1:]}.", where=label)


def _places(modelfile: Modelfile, name: str, key: str) -> list[int]:
    return [
        place
        for place, entry in enumerate(modelfile.entries)
        if entry.command and (entry.command.name, entry.command.key) == (name, key)
    ]


def _inserted(modelfile: Modelfile, name: str, new: Line) -> Modelfile:
    entries = list(modelfile.entries)
    newline = next((entry.end for entry in entries if entry.end), "\n")
    place = _place_for(entries, name)
    if place and not entries[place - 1].end:
        # A file without a last line end stays one.
        entries[place - 1] = replace(entries[place - 1], end=newline)
        newline = ""
    entries.insert(place, replace(new, end=newline))
    return _joined(modelfile, entries)


def _place_for(entries: list[Line], name: str) -> int:
    before = MODELFILE_COMMANDS[: MODELFILE_COMMANDS.index(name) + 1]
    commands = [place for place, entry in enumerate(entries) if entry.command]
    behind = [place for place in commands if (found := entries[place].command) and found.name in before]
    if behind:
        return behind[-1] + 1
    place = commands[0] if commands else len(entries)
    if commands:
        # A comment right above a command belongs to it.
        while place and entries[place - 1].head.strip(" \t"):
            place -= 1
    return place


def _joined(modelfile: Modelfile, entries: list[Line]) -> Modelfile:
    if tuple(entries) == modelfile.entries:
        return modelfile
    return parse(print_modelfile(replace(modelfile, entries=tuple(entries))), where=modelfile.where)
