"""Go's template actions in a TEMPLATE: closed, and in pairs.

Only what breaks a template wherever it runs is a fault here; functions and fields are Ollama's to know.
Source: the lexer and parser of Go's text/template/parse.
"""

import re
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
_SHOWN = 30


@dataclass
class _Open:
    word: str
    at: int
    has_else: bool = False


def template_fault(text: str) -> str:
    """Return what is wrong with the actions of a Go template, or an empty string."""
    stack: list[_Open] = []
    at = 0
    while found := _ACTION_OPEN.search(text, at):
        start = found.start()
        if comment := _COMMENT.match(text, start):
            if not comment[1]:
                return _said(text, start, "the comment never closes with */}}")
            at = comment.end()
            continue
        at, what = _end(text, found.end())
        what = what or _pairs(stack, text[found.end() : at], start)
        if what:
            return _said(text, start, what)
    if stack:
        return _said(text, stack[-1].at, "it has no {{ end }}")
    return ""


def _end(text: str, at: int) -> tuple[int, str]:
    while token := _TOKEN.match(text, at):
        at = token.end()
        if token["close"]:
            return at, ""
        if token["quote"]:
            return at, f"the {token['quote']} in it never closes"
        if token["brace"]:
            break
    return at, "it never closes with }}"


def _pairs(stack: list[_Open], action: str, start: int) -> str:
    found = _ACTION_WORD.match(action)
    word, second = (found[1], found[2]) if found else ("", "")
    if word in _OPENING:
        stack.append(_Open(word, start))
    elif word in ("else", "end") and not stack:
        return "nothing is open before it"
    elif word == "end":
        stack.pop()
    elif word == "else":
        inner = stack[-1]
        if inner.word not in _WITH_ELSE:
            return f"{inner.word} takes no else"
        if inner.has_else:
            return f"the {inner.word} before it has an else already"
        if second in _OPENING and not (second == inner.word and second in ("if", "with")):
            return f"{inner.word} takes no else {second}"
        inner.has_else = not second
    return ""


def _said(text: str, start: int, what: str) -> str:
    line = text.count("\n", 0, start) + 1
    shown = text[start:].partition("\n")[0]
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return f"TEMPLATE is no Go template: {shown} in its line {line}: {what}"
