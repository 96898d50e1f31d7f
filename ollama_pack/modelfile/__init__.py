"""Modelfile ↔ text: the whole grammar, nothing lost.

Three steps, all pure: `decode` makes text of a file's bytes, `parse` makes a `Modelfile` of the text,
`print_modelfile` gives the text back. A Modelfile remembers every character its author wrote, so
``print_modelfile(parse(text)) == text`` and ``parse(print_modelfile(value)) == value``.
`with_command`, `without_command` and `without_comment` change one thing and leave every other line alone.

The rules are those of Ollama's own reader: a command starts a line and is written in any case, a
comment only ever starts a line, a value ends with its line unless quoted, quotes close at a line's
end, nothing is escaped, and characters that cannot be printed are dropped.
"""

MODELFILE_NAME = "Modelfile.txt"
"""What the file is called in an adapter directory and in the folder of a build."""
