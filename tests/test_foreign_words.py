"""No word of a library's exception gets into a message but through `ollama_pack/shown.py`."""

import ast
from pathlib import Path

import pytest

import ollama_pack

ROOT = Path(ollama_pack.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
READ = [path for path in SOURCES if not path.stem.endswith("_worker")]
"""All but the child processes with limits: their parents take their words by `words_of`."""

PASSED_THROUGH = ("reason_of", "words_of", "isinstance", "type", "_line_of")
"""What may be done with an exception of a library: its words are taken by one function alone."""
TAKEN = {
    "strerror",
    "stdout",
    "filename",
    "filename2",
    "errno",
    "response",
    "lineno",
    "start",
    "reason",
    "exit_code",
}
"""Attributes that are no sentence of a library."""


def own_errors() -> set[str]:
    """Return the names of the package's own exceptions, whose words are its own."""
    classes = {
        node.name: {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    own = {"PackError"}
    while more := {name for name, bases in classes.items() if bases & own} - own:
        own |= more
    return own | {name for name, bases in classes.items() if bases & {"Exception", "ValueError"}}


OWN = own_errors()


def foreign_words(source: str) -> list[int]:
    """Return the lines on which an exception of a library is made text without `reason_of`."""
    lines = []
    for handler in ast.walk(ast.parse(source)):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if all(getattr(each, "id", getattr(each, "attr", "")) in OWN for each in caught):
            continue
        allowed = {
            id(argument)
            for call in ast.walk(handler)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in PASSED_THROUGH
            for given in call.args
            for argument in ast.walk(given)
        }
        for node in ast.walk(handler):
            used = isinstance(node, ast.Name) and node.id == handler.name and id(node) not in allowed
            if used and not _is_harmless(node, handler):
                lines.append(node.lineno)
    return lines


def _is_harmless(name: ast.Name, handler: ast.ExceptHandler) -> bool:
    """Return whether a use of an exception takes no words of it: it is handed on, or an attribute is read."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise | ast.Return | ast.Assign) and name in vars(node).values():
            return True
        if isinstance(node, ast.Attribute) and node.value is name and node.attr in TAKEN:
            return True
        if isinstance(node, ast.Call) and name in node.args:
            function = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )
            if function in HANDED_ON:
                return True
    return False


HANDED_ON = {
    *("of_usage", "of_os_error", "_of_problem", "report", "error_facts", "unreachable", "_is_full"),
    *("_no_repository", "_not_pushed", "_not_fetched"),
    "set_exception",  # of a future: whoever asks for its result gets it raised
}
"""Functions that are given the exception itself, and are read by hand."""


@pytest.mark.parametrize("path", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_words_of_a_library_are_shown_unread(path):
    """An exception that is not this package's own becomes text by `reason_of` alone."""
    assert foreign_words(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "use",
    ['f"it failed: {error}"', "str(error)", "repr(error)", '"%s" % error', "error.args", '" ".join([error])'],
)
def test_words_of_a_library_are_seen(use):
    """The search finds every way to make a text of an exception, and not the right one."""
    source = "try:\n    f()\nexcept (PackError, ValueError) as error:\n    tell({})\n"
    assert foreign_words(source.format(use)) == [4]
    assert foreign_words(source.format("reason_of(error)")) == []
    assert foreign_words(source.replace(", ValueError", "").format(use)) == []
