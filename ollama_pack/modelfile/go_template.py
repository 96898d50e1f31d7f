"""Checks that the actions of a Go template are closed and properly nested.

Only syntax that breaks a template everywhere is checked. Functions and fields are not: they depend on the
version of Ollama. The rules are those of Go's ``text/template/parse`` (``lex.go`` and ``parse.go``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ACTION_OPEN = re.compile(r"\{\{(?:-(?=[ \t\r\n]))?")
_COMMENT = re.compile(r"\{\{(?:-[ \t\r\n])?/\*(?:(?s:.*?)\*/(?:[ \t\r\n]-)?(\}\}))?")
_TOKEN = re.compile(
    r"""(?P<close>\}\})
    | (?P<text>"(?:\\[^\n]|[^"\\\n])*" | `[^`]*` | '(?:\\[^\n]|[^'\\\n])*')
    | (?P<quote>["`'])
    | (?P<brace>[{}])
    | (?:[^"`'{}]+)""",
    re.VERBOSE,
)

_ACTION_WORD = re.compile(r"\s*([^\W\d]\w*)(?:\s+([^\W\d]\w*))?")
_OPENING = frozenset({"if", "range", "with", "block", "define"})
_WITH_ELSE = frozenset({"if", "range", "with"})
_SHOWN_CHARACTERS = 30


@dataclass
class _OpenAction:
    """An action that needs an ``{{ end }}`` and has none yet.

    Attributes:
        word: its keyword, ``if``.
        at: the index in the template at which it starts.
        has_else: whether an ``{{ else }}`` without a condition belongs to it.
    """

    word: str
    at: int
    has_else: bool = False


def template_fault(text: str) -> str:
    """Return what is wrong with the actions of a Go template, or an empty string."""
    stack: list[_OpenAction] = []
    at = 0
    while action := _ACTION_OPEN.search(text, at):
        start = action.start()
        if comment := _COMMENT.match(text, start):
            if not comment[1]:
                return _describe(text, start, "the comment is not closed with */}}")
            at = comment.end()
            continue
        at, what = _end_of_action(text, action.end())
        what = what or _check_nesting(stack, text[action.end() : at], start)
        if what:
            return _describe(text, start, what)
    if stack:
        return _describe(text, stack[-1].at, "its {{ end }} is missing")
    return ""


def template_parts(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a valid Go template in order: whether a part is an action, and its text.

    The text of an action has neither its braces nor its trim markers. Comments are left out.
    """
    at = 0
    while action := _ACTION_OPEN.search(text, at):
        yield False, text[at : action.start()]
        if comment := _COMMENT.match(text, action.start()):
            at = comment.end()
            continue
        at, _ = _end_of_action(text, action.end())
        yield True, text[action.end() : at].removesuffix("}}").removesuffix("-")
    yield False, text[at:]


def _end_of_action(text: str, at: int) -> tuple[int, str]:
    """Return the index after the action that goes on at `at`, and why it is not closed or an empty string."""
    while token := _TOKEN.match(text, at):
        at = token.end()
        if token["close"]:
            return at, ""
        if token["quote"]:
            return at, f"a {token['quote']} in it is not closed"
        if token["brace"]:
            break
    return at, "it is not closed with }}"


def _check_nesting(stack: list[_OpenAction], action: str, start: int) -> str:
    """Update the open actions with the next one; return what is wrong with it, or an empty string."""
    words = _ACTION_WORD.match(action)
    word, second = (words[1], words[2]) if words else ("", "")
    if word in _OPENING:
        stack.append(_OpenAction(word, start))
    elif word in ("else", "end") and not stack:
        return "no action is open before it"
    elif word == "end":
        stack.pop()
    elif word == "else":
        inner = stack[-1]
        if inner.word not in _WITH_ELSE:
            return f"{inner.word} cannot have an else"
        if inner.has_else:
            return f"the {inner.word} before it has an else already"
        if second in _OPENING and not (second == inner.word and second in ("if", "with")):
            return f"{inner.word} cannot have an else {second}"
        inner.has_else = not second
    return ""


def _describe(text: str, start: int, what: str) -> str:
    """Return a fault with the beginning of its action and the number of its line."""
    line = text.count("\n", 0, start) + 1
    shown = text[start:].partition("\n")[0]
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
    return f"the TEMPLATE is not a valid Go template: line {line} of it, {shown}: {what}"
