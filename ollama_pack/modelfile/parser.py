"""Text to Modelfile, with everything checked that Ollama would check when a model is created."""

import re

from ollama_pack.errors import InputError, bullet_list
from ollama_pack.modelfile.go_template import template_fault
from ollama_pack.modelfile.parameters import IGNORED, PARAMETERS, TEXTS, ParameterValue, text_error, typed
from ollama_pack.modelfile.quoting import dropped, name_of
from ollama_pack.modelfile.syntax import Command, Modelfile, read_entries

_VERSION_NUMBER = r"(?:0|[1-9][0-9]*)"
_VERSION_WORD = r"[0-9A-Za-z-]+"
_PRE = rf"(?:{_VERSION_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"v?{_VERSION_NUMBER}(?:\.{_VERSION_NUMBER}(?:\.{_VERSION_NUMBER}(?:-{_PRE}(?:\.{_PRE})*)?(?:\+{_VERSION_WORD}(?:\.{_VERSION_WORD})*)?)?)?"
)

_LAST_COUNTS = ("ADAPTER", "TEMPLATE", "SYSTEM", "RENDERER", "PARSER", "REQUIRES")


def parse(text: str, *, where: str) -> Modelfile:
    """Read a Modelfile.

    A file without FROM is accepted: the base may come from somewhere else.

    Args:
        text: the whole file; `quoting.decode` makes it of bytes.
        where: the file's name for messages, ``Modelfile.txt``.

    Raises:
        InputError: unknown command, parameter or role, a value of the wrong type, open quotes, a TEMPLATE
            whose actions are open; with the line. Lines are counted as editors do; Ollama's own
            messages count CR LF twice.
    """
    modelfile = Modelfile(read_entries(text, where), where)
    faults = [(command.line, found) for command in modelfile.commands if (found := command_fault(command))]
    if len(faults) == 1:
        line, what = faults[0]
        raise InputError(f"{what[0].upper()}{what[1:]}.", where=f"{where}, line {line}")
    if faults:
        problems = [f"line {line}: {what}" for line, what in faults]
        raise InputError(bullet_list("These lines cannot be understood:", problems), where=where)
    return modelfile


def parameters(modelfile: Modelfile) -> dict[str, ParameterValue]:
    """Return the PARAMETERs typed as Ollama stores them: the last of a name counts, `stop` is a list.

    Parameters that Ollama ignores are left out.
    """
    values: dict[str, ParameterValue] = {}
    for command in modelfile.commands:
        kind = PARAMETERS[command.key] if command.name == "PARAMETER" else IGNORED
        if kind == TEXTS:
            values[command.key] = list(modelfile.values("PARAMETER", command.key))
        elif kind != IGNORED:
            values[command.key] = typed(command.key, command.value)
    return values


def warnings(modelfile: Modelfile) -> tuple[str, ...]:
    """Return what is allowed but will not do what its author thinks, one sentence each, with its line."""
    found: list[tuple[int, str]] = []
    last = {command.name: command.line for command in modelfile.commands}
    for entry in modelfile.entries:
        command = entry.command
        if command is None:
            continue
        if command.name == "PARAMETER" and PARAMETERS[command.key] == IGNORED:
            found.append((command.line, f"Ollama ignores the parameter {command.key}"))
        if command.name in _LAST_COUNTS and command.line != last[command.name]:
            again = last[command.name]
            found.append((command.line, f"only the last {command.name} counts, the one in line {again}"))
        if command.name in ("SYSTEM", "TEMPLATE") and not command.value:
            found.append((command.line, f"an empty {command.name} means “as in the base model”"))
        for character in dropped(entry.body):
            found.append((command.line, f"Ollama drops {name_of(character)} from {command.name}"))
    return tuple(f"{modelfile.where}, line {line}: {what}." for line, what in found)


def command_fault(command: Command) -> str:
    """Return what is wrong with a command's value, or an empty string."""
    if command.name == "PARAMETER":
        return text_error(command.key, command.value)
    if command.name == "REQUIRES" and not _SEMVER.fullmatch(command.value):
        return f"REQUIRES wants a version like 0.14.0, not {command.value!r}"
    return template_fault(command.value) if command.name == "TEMPLATE" else ""
