"""Finds what is valid in a Go template, and still does not do what its author expects of Ollama.

The fields are those that Ollama passes (``template/template.go``) and those of its messages and tools
(``api/types.go``). The functions are Go's own and Ollama's. Both are warnings, because another version of
Ollama may have more of them.
"""

import difflib
import re
from collections.abc import Iterator

from ollama_pack.modelfile.go_template import template_parts

QUESTION_FIELDS = frozenset({"Prompt", "Messages"})
"""The fields that carry what the user says."""

TOP_FIELDS = (
    *("System", "Prompt", "Response", "Suffix", "Messages", "Tools"),
    *("Think", "ThinkLevel", "IsThinkSet"),
)
_OTHER_FIELDS = (
    *("Role", "Content", "Thinking", "Images", "ToolCalls", "ToolName", "ToolCallID"),
    *("ID", "Index", "Function", "Name", "Arguments", "Description", "Parameters", "Type", "Items", "Defs"),
    *("Required", "Properties", "AnyOf", "Enum", "String", "ToTypeScriptType"),
)
_FIELDS = frozenset((*TOP_FIELDS, *_OTHER_FIELDS))
_WITH_FREE_NAMES = frozenset({"Arguments", "Properties"})
"""The fields that are maps, so that any name may follow."""

_GO_FUNCTIONS = (
    *("and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or"),
    *("print", "printf", "println", "slice", "urlquery"),
)
_OF_OLLAMA = ("json", "currentDate", "yesterdayDate", "toTypeScriptType")
_GO_WORDS = (
    *("if", "else", "end", "range", "with", "define", "block", "template", "break", "continue"),
    *("nil", "true", "false"),
)
_KNOWN_NAMES = frozenset((*_GO_FUNCTIONS, *_OF_OLLAMA, *_GO_WORDS))

_LITERAL = re.compile(r""""(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*'""")
_CHAIN = re.compile(r"(?:\.[^\W\d]\w*)+")
_FUNCTION_NAME = re.compile(r"(?<![\w.$])[^\W\d]\w*")
ESCAPE = re.compile(r"\\[nt]")
ESCAPE_HINT = 'a line end is a line end in the text, with three quotes (""") around it'


def template_problems(text: str) -> Iterator[str]:
    """Yield a clause for each thing in a TEMPLATE that does not do what its author expects.

    Example: ``{{ .Input }}`` → ``the TEMPLATE uses neither …``, then ``Ollama has no field .Input …``.
    """
    plain, fields, names = "", [], []
    for is_action, part in template_parts(text):
        if not is_action:
            plain += part
            continue
        code = _LITERAL.sub('""', part)
        fields += [field for chain in _CHAIN.findall(code) for field in _known_part(chain)]
        names += _FUNCTION_NAME.findall(code)
    if not QUESTION_FIELDS & set(fields):
        yield "the TEMPLATE uses neither .Prompt nor .Messages, so the question never reaches the model"
    for field in dict.fromkeys(fields):
        if field not in _FIELDS:
            yield f"Ollama has no field .{field}{_similar(field)}"
    for name in dict.fromkeys(names):
        if name not in _KNOWN_NAMES:
            yield f"Ollama has no function {name} in a TEMPLATE, and refuses or fails to run it"
    if jinja := _jinja_in(plain):
        yield f"{jinja[:40]} is Jinja, which Ollama sends as it stands: a TEMPLATE is a Go template"
    if found := ESCAPE.search(plain):
        yield f"{found[0]} is a backslash and a letter in a TEMPLATE, not a line end or tab; {ESCAPE_HINT}"


def _jinja_in(text: str) -> str:
    """Return the first Jinja statement in a text, or an empty string; a pattern would take quadratic time."""
    start = text.find("{%")
    end = text.find("%}", start + 2) if start >= 0 else -1
    return text[start : end + 2] if end >= 0 else ""


def _known_part(chain: str) -> Iterator[str]:
    """Yield the fields of ``.Function.Arguments.city`` up to the one after which any name may stand."""
    for field in chain.split(".")[1:]:
        yield field
        if field in _WITH_FREE_NAMES:
            return


def _similar(field: str) -> str:
    """Return a clause with the fields that a template has, the most similar one if there is one."""
    lowered = {name.lower(): name for name in (*_OTHER_FIELDS, *TOP_FIELDS)}
    near = difflib.get_close_matches(field.lower(), lowered, n=1, cutoff=0.8)
    if near:
        return f" (did you mean .{lowered[near[0]]}?)"
    return f"; the fields are {', '.join(f'.{name}' for name in TOP_FIELDS)}"
