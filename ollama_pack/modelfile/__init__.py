"""Modelfile ↔ text: the whole grammar, nothing lost.

Three steps, all pure: `decode` makes text of a file's bytes, `parse` makes a `Modelfile` of the text,
`print_modelfile` gives the text back. A Modelfile remembers every character its author wrote, so
``print_modelfile(parse(text)) == text`` and ``parse(print_modelfile(value)) == value``.
`with_command`, `without_command` and `without_comment` change one thing and leave every other line alone.

The rules are those of Ollama's own reader: a command starts a line and is written in any case, a
comment only ever starts a line, a value ends with its line unless quoted, quotes close at a line's
end, nothing is escaped, and characters that cannot be printed are dropped.
"""

from ollama_pack.modelfile.editing import with_command, without_command, without_comment
from ollama_pack.modelfile.parameters import ParameterValue, fault, misfit
from ollama_pack.modelfile.quoting import decode, quoted
from ollama_pack.modelfile.reading import parameters, parse, warnings
from ollama_pack.modelfile.syntax import Command, Entry, Modelfile, print_modelfile

FILE_NAME = "Modelfile.txt"
"""What the file is called in an adapter directory and in the folder of a build."""

__all__ = [
    "FILE_NAME",
    "Command",
    "Entry",
    "Modelfile",
    "ParameterValue",
    "decode",
    "fault",
    "misfit",
    "parameters",
    "parse",
    "print_modelfile",
    "quoted",
    "warnings",
    "with_command",
    "without_command",
    "without_comment",
]
