"""Parses, edits and prints Modelfiles without losing a character.

`decode` turns the bytes of a file into text, `parse` turns text into a `Modelfile`, and `print_modelfile`
returns the text. A `Modelfile` keeps every character that its author wrote, so
``print_modelfile(parse(text)) == text`` and ``parse(print_modelfile(value)) == value``.
`with_command`, `without_command` and `without_comment` change one thing and keep all other lines.

The grammar is that of Ollama's own reader (``parser/parser.go``): a command starts a line, in upper or lower
case; a comment takes a whole line; a value ends with its line unless it is quoted; quotes close at the end
of a line; nothing can be escaped; and Ollama drops characters that Go calls unprintable.
"""

MODELFILE_NAME = "Modelfile.txt"
"""Name of the file in an adapter directory and in the output directory of a build."""

OLLAMA_MODELFILE_NAME = "Modelfile"
"""Ollama's own name for such a file, which is read beside an adapter if there is no `MODELFILE_NAME`."""

LARGEST_MODELFILE = 4 << 20
"""Most bytes of a Modelfile or of its template. With a long licence a real one has a hundred thousand."""
