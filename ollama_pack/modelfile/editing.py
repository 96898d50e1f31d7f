"""Sets and removes commands of a Modelfile and leaves every other character as it is."""

from collections.abc import Sequence

from ollama_pack.errors import InputError
from ollama_pack.modelfile.parser import command_fault, parse
from ollama_pack.modelfile.quoting import LINE_PATTERN, quoted
from ollama_pack.modelfile.syntax import MODELFILE_COMMANDS, ROLES, Command, Line, Modelfile, print_modelfile

REMOVABLE = ("TEMPLATE", "SYSTEM")
"""The commands whose empty value removes what the base has. Ollama itself ignores such a command."""

EMPTY = '""'


def with_command(modelfile: Modelfile, name: str, value: str, *, key: str = "") -> Modelfile:
    """Return the Modelfile with a command set; setting the same value again changes nothing.

    Of a command that counts only once, the last one is changed in place and the earlier ones are removed.
    LICENSE, MESSAGE and ``PARAMETER stop`` accumulate: they are added unless the value is there already. A
    new command is inserted after the last one that precedes it in `MODELFILE_COMMANDS`, so ADAPTER follows
    FROM.

    An empty TEMPLATE or SYSTEM says that the model has none, where its base has one.

    Args:
        modelfile: the Modelfile to change.
        name: the name of the command, in capitals.
        value: the value without quotes.
        key: the name of a PARAMETER or the role of a MESSAGE.

    Raises:
        InputError: the command, parameter or role does not exist, or the value has the wrong type.
        UnsupportedError: a Modelfile cannot carry the value.
    """
    label = f"{name} {key}".strip()
    if name in ("LICENSE", "MESSAGE") or (name, key) == ("PARAMETER", "stop"):
        return with_added(modelfile, name, (value,), key=key)
    _check(Command(name, key, value, 0), label)
    removes = not value and name in REMOVABLE
    body = EMPTY if removes else quoted(value, where=f"{modelfile.where}, {label}")
    entries = list(modelfile.entries)
    indices = _indices_of(modelfile, name, key)
    if not indices:
        return _insert(modelfile, name, [Line(f"{label} ", body, "")])
    earlier = set(indices[:-1])
    if modelfile.value(name, key) != value or removes:
        entries[indices[-1]] = entries[indices[-1]]._replace(body=body)
    return _with_entries(modelfile, [entry for at, entry in enumerate(entries) if at not in earlier])


def with_added(modelfile: Modelfile, name: str, values: Sequence[str], *, key: str = "") -> Modelfile:
    """Return the Modelfile with commands that accumulate, for those of the values that it does not have yet.

    Args:
        modelfile: the Modelfile to change.
        name: LICENSE, MESSAGE, or PARAMETER with the key ``stop``.
        values: the values without quotes, in order.
        key: the name of the PARAMETER or the role of the MESSAGE.

    Raises:
        InputError: the role does not exist, or a value has the wrong type.
        UnsupportedError: a Modelfile cannot carry a value.
    """
    label = f"{name} {key}".strip()
    there, added = set(modelfile.values(name, key)), []
    for value in values:
        _check(Command(name, key, value, 0), label)
        if value not in there:
            there.add(value)
            added.append(Line(f"{label} ", quoted(value, where=f"{modelfile.where}, {label}"), ""))
    return _insert(modelfile, name, added) if added else modelfile


def without_command(modelfile: Modelfile, name: str, *, key: str = "", value: str | None = None) -> Modelfile:
    """Return the Modelfile without the commands of a name and key, or only those with this `value`."""
    removed = {
        at
        for at in _indices_of(modelfile, name, key)
        if (command := modelfile.entries[at].command) and value in (None, command.value)
    }
    return _with_entries(
        modelfile, [entry for at, entry in enumerate(modelfile.entries) if at not in removed]
    )


def without_comment(modelfile: Modelfile, line: str) -> Modelfile:
    """Return the Modelfile without the comment lines that are exactly `line`."""
    return _with_entries(
        modelfile, [entry for entry in modelfile.entries if entry.command or entry.head != line]
    )


def _check(command: Command, label: str) -> None:
    """Raise InputError if the command, its key or its value is one that Ollama does not accept."""
    if command.name not in MODELFILE_COMMANDS:
        commands = ", ".join(MODELFILE_COMMANDS)
        raise InputError(f"There is no command {command.name}. The commands are {commands}.")
    if command.name == "MESSAGE" and command.key not in ROLES:
        raise InputError(f"There is no role {command.key!r}. The roles are {', '.join(ROLES)}.", where=label)
    if what := command_fault(command):
        raise InputError(f"{what[0].upper()}{what[1:]}.", where=label)


def _indices_of(modelfile: Modelfile, name: str, key: str) -> list[int]:
    """Return the indices of the entries that are commands of this name and key."""
    return [
        at
        for at, entry in enumerate(modelfile.entries)
        if entry.command and (entry.command.name, entry.command.key) == (name, key)
    ]


def _insert(modelfile: Modelfile, name: str, new: Sequence[Line]) -> Modelfile:
    """Return the Modelfile with new commands of one name, with the line ends that the file uses."""
    entries = list(modelfile.entries)
    newline = next((entry.end for entry in entries if entry.end), "\n")
    at, last = _index_for(entries, name), newline
    if at and not entries[at - 1].end:
        # A file that does not end with a line end keeps that property.
        entries[at - 1] = entries[at - 1]._replace(end=newline)
        last = ""
    entries[at:at] = [each._replace(end=newline) for each in new[:-1]] + [new[-1]._replace(end=last)]
    return _with_entries(modelfile, entries)


def _index_for(entries: list[Line], name: str) -> int:
    """Return the index at which a new command of this name is inserted."""
    precede = MODELFILE_COMMANDS[: MODELFILE_COMMANDS.index(name) + 1]
    commands = [at for at, entry in enumerate(entries) if entry.command]
    preceding = [at for at in commands if (command := entries[at].command) and command.name in precede]
    if preceding:
        return preceding[-1] + 1
    index = commands[0] if commands else len(entries)
    if commands:
        # A comment directly above a command belongs to that command, so the new one goes above the comment.
        while index and entries[index - 1].head.strip(" \t"):
            index -= 1
    return index


def _with_entries(modelfile: Modelfile, entries: list[Line]) -> Modelfile:
    """Return a Modelfile with other entries: the new ones are parsed, and the lines of all are counted."""
    if tuple(entries) == modelfile.entries:
        return modelfile
    if any(entry.end == "\r" for entry in entries):  # It could join the next one in one line end.
        return parse(print_modelfile(modelfile._replace(entries=tuple(entries))), where=modelfile.where)
    known = set(map(id, modelfile.entries))
    made: list[Line] = []
    line = 1
    for entry in entries:
        parsed = (entry,) if id(entry) in known else parse(entry.text, where=modelfile.where).entries
        for each in parsed:
            if each.command is None or each.command.line == line:
                made.append(each)
            else:
                made.append(each._replace(command=each.command._replace(line=line)))
            line += 1 if not each.body else len(LINE_PATTERN.findall(each.text))
    return modelfile._replace(entries=tuple(made))
