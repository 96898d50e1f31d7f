"""Parses a Modelfile, and checks all that Ollama would check when it creates a model."""

import re

from ollama_pack.errors import InputError, bullet_list
from ollama_pack.modelfile.go_template import template_fault
from ollama_pack.modelfile.parameters import IGNORED, PARAMETERS, TEXTS, ParameterValue, text_error, typed
from ollama_pack.modelfile.quoting import dropped, name_of
from ollama_pack.modelfile.syntax import Command, Modelfile, read_entries
from ollama_pack.modelfile.template_check import ESCAPE_HINT, template_problems

_VERSION_NUMBER = r"(?:0|[1-9][0-9]*)"
_VERSION_WORD = r"[0-9A-Za-z-]+"
_PRE = rf"(?:{_VERSION_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"v?{_VERSION_NUMBER}(?:\.{_VERSION_NUMBER}(?:\.{_VERSION_NUMBER}(?:-{_PRE}(?:\.{_PRE})*)?(?:\+{_VERSION_WORD}(?:\.{_VERSION_WORD})*)?)?)?"
)

_ESCAPED_LINE_END = re.compile(r"\\[nt](?![a-z])|(?:\\n){2}")
"""A line end as programming languages write it; ``C:\\new`` and ``\\nabla`` are not."""

_LAST_COUNTS = ("ADAPTER", "TEMPLATE", "SYSTEM", "RENDERER", "PARSER", "REQUIRES")


def parse(text: str, *, where: str) -> Modelfile:
    """Return the Modelfile that a text holds.

    A text without FROM is accepted, because the base may be given elsewhere.

    Args:
        text: the whole file, as `quoting.decode` returns it.
        where: the name of the file in messages, ``Modelfile.txt``.

    Raises:
        InputError: a command, parameter or role is unknown, a value has the wrong type, quotes are not
            closed, or a TEMPLATE is not a valid Go template. The error names the line, counted as editors
            count; Ollama's own messages count CR LF as two lines.
    """
    modelfile = Modelfile(read_entries(text, where), where)
    faults = [(command.line, fault) for command in modelfile.commands if (fault := command_fault(command))]
    if len(faults) == 1:
        line, what = faults[0]
        raise InputError(f"{what[0].upper()}{what[1:]}.", where=f"{where}, line {line}")
    if faults:
        problems = [f"line {line}: {what}" for line, what in faults]
        raise InputError(bullet_list("Several lines are not valid in a Modelfile:", problems), where=where)
    return modelfile


def parameters(modelfile: Modelfile) -> dict[str, ParameterValue]:
    """Return the PARAMETERs with values typed as Ollama stores them, without those that Ollama ignores.

    Of several PARAMETERs with one name, the last counts; `stop` is a list of all its values.
    """
    values: dict[str, ParameterValue] = {}
    texts: dict[str, list[str]] = {}
    for command in modelfile.commands:
        kind = PARAMETERS[command.key] if command.name == "PARAMETER" else IGNORED
        if kind == TEXTS:
            texts.setdefault(command.key, []).append(command.value)
        elif kind != IGNORED:
            values[command.key] = typed(command.key, command.value)
    return {**values, **texts}


def command_problems(modelfile: Modelfile) -> tuple[tuple[Command, str], ...]:
    """Return each command that is valid but without the expected effect, and what is wrong with it."""
    problems: list[tuple[Command, str]] = []
    last = {command.name: command.line for command in modelfile.commands}
    for entry in modelfile.entries:
        command = entry.command
        if command is None:
            continue
        if command.name == "PARAMETER" and PARAMETERS[command.key] == IGNORED:
            problems.append((command, f"Ollama ignores the parameter {command.key}"))
        if command.name in _LAST_COUNTS and command.line != last[command.name]:
            counts = last[command.name]
            problems.append((command, f"only the last {command.name} counts, which is in line {counts}"))
            continue
        if command.name in ("SYSTEM", "TEMPLATE") and not command.value:
            what = f"an empty {command.name} removes that of the base, which ollama create itself cannot do"
            problems.append((command, what))
        elif command.name == "TEMPLATE":
            problems += [(command, what) for what in template_problems(command.value)]
        elif _takes_text(command) and (found := _ESCAPED_LINE_END.search(command.value)):
            what = f"{found[0]} is a backslash and a letter in {command.name}, not a line end or tab"
            problems.append((command, f"{what}; {ESCAPE_HINT}"))
        for character in dropped(entry.body):
            problems.append((command, f"Ollama drops {name_of(character)} from {command.name}"))
    return tuple(problems)


def _takes_text(command: Command) -> bool:
    """Return whether a command has a text that is sent to the model, or compared with what it answers."""
    return command.name in ("SYSTEM", "MESSAGE") or command.key == "stop"


def command_fault(command: Command) -> str:
    """Return what is wrong with a command's value, or an empty string."""
    if command.name == "PARAMETER":
        return text_error(command.key, command.value)
    if command.name == "REQUIRES" and not _SEMVER.fullmatch(command.value):
        return f"REQUIRES must be a version like 0.14.0, not {command.value!r}"
    return template_fault(command.value) if command.name == "TEMPLATE" else ""
