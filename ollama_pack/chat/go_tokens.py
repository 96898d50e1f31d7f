"""Splits a Go template into tokens, by the rules of Go's ``text/template/parse``.

The text between actions is one token, already trimmed where an action asks for it with ``{{-`` or ``-}}``.
"""

import re
from dataclasses import dataclass

from ollama_pack.errors import InputError, one_line

GO_KEYWORDS = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"}
)

_SPACES = " \t\r\n"
_CONSTANT = re.compile(
    r"""(?P<string>"(?:\\[^\n]|[^"\\\n])*") | (?P<raw>`[^`]*`) | (?P<char>'(?:\\[^\n]|[^'\\\n])*')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+ | 0[bB][01_]+ | 0[oO][0-7_]+
        | (?:[0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?))
    """,
    re.VERBOSE,
)
_PUNCTUATION = {"=": "assign", "|": "pipe", "(": "(", ")": ")", ",": ","}
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class GoToken:
    """A token of a Go template.

    Attributes:
        kind: ``text``, ``open`` and ``close`` for ``{{`` and ``}}``, ``keyword``, ``name``, ``field``,
            ``variable``, ``dot``, ``bool``, ``nil``, ``number``, ``char``, ``string``, ``raw``, ``assign``,
            ``declare``, ``pipe``, ``space``, ``(``, ``)``, ``,`` or ``eof``.
        text: the characters of the token; for a ``text``, what is left of them after trimming.
        line: the number of its line, from 1.
    """

    kind: str
    text: str
    line: int


def template_line(line: int) -> str:
    """Return the name of a line of a template in messages."""
    return f"TEMPLATE, line {line}"


def split_go_template(text: str) -> list[GoToken]:
    """Return the tokens of a Go template, the last of kind ``eof``.

    Args:
        text: the template.

    Raises:
        InputError: an action, a comment or a quote is not closed, or a character has no meaning there.

    Example:
        >>> [token.kind for token in split_go_template("a {{- .X }}")]
        ['text', 'open', 'field', 'space', 'close', 'eof']
    """
    return _Lexer(text).run()


class _Lexer:
    """The state of the splitting: the text, a position in it, and the tokens so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.counted = 0
        self.tokens: list[GoToken] = []

    def run(self) -> list[GoToken]:
        """Go through the text once, from action to action."""
        trimmed = False
        while True:
            start = self.text.find("{{", self.at)
            end = len(self.text) if start < 0 else start
            between = self.text[self.at : end]
            between = between.lstrip(_SPACES) if trimmed else between
            trims_before = start >= 0 and self._trims_left(start + 2)
            between = between.rstrip(_SPACES) if trims_before else between
            if between:
                self._add("text", between)
            self.at = end
            if start < 0:
                self._add("eof", "")
                return self.tokens
            trimmed = self._action(start + (4 if trims_before else 2), start)

    def _trims_left(self, at: int) -> bool:
        """Return whether an action begins with the mark that trims the text before it."""
        return self.text[at : at + 1] == "-" and self.text[at + 1 : at + 2] in tuple(_SPACES)

    def _action(self, at: int, start: int) -> bool:
        """Read a comment or an action that starts at `start`; return whether the text after it is trimmed."""
        if self.text.startswith("/*", at):
            return self._comment(at, start)
        self._add("open", "{{")
        self.at, depth = at, 0
        while True:
            if closes := self._closing(self.at):
                if depth:
                    raise self._fault("a ( in it is not closed", start)
                self._add("close", "}}")
                self.at += closes
                return closes > 2
            kind, end = self._next_in_action(start)
            depth += {"(": 1, ")": -1}.get(kind, 0)
            if depth < 0:
                raise self._fault("a ) in it has no (", start)
            self._add(kind, self.text[self.at : end])
            self.at = end

    def _closing(self, at: int) -> int:
        """Return how long the end of the action at this place is, or 0 if none is there."""
        if self.text.startswith("}}", at):
            return 2
        if self.text[at : at + 1] in tuple(_SPACES) and self.text.startswith("-}}", at + 1):
            return 4
        return 0

    def _comment(self, at: int, start: int) -> bool:
        """Read a comment; return whether it trims the text behind it."""
        end = self.text.find("*/", at)
        closes = self._closing(end + 2) if end >= 0 else 0
        if not closes:
            raise self._fault("the comment is not closed with */}}", start)
        self.at = end + 2 + closes
        return closes > 2

    def _next_in_action(self, start: int) -> tuple[str, int]:
        """Return the kind of the next token of an action and the place after it."""
        text, at = self.text, self.at
        head = text[at : at + 1]
        if not head:
            raise self._fault("it is not closed with }}", start)
        if head in _SPACES:
            end = at + 1
            while text[end : end + 1] in tuple(_SPACES) and not self._closing(end):
                end += 1
            return "space", end
        if text.startswith(":=", at):
            return "declare", at + 2
        if head in _PUNCTUATION:
            return _PUNCTUATION[head], at + 1
        if head == "$" or (head == "." and not "0" <= text[at + 1 : at + 2] <= "9"):
            end = self._word_end(at + 1)
            if end > at + 1:
                self._require_end(end, start)
            name = {"$": "variable", ".": "field" if end > at + 1 else "dot"}[head]
            return name, self._checked(end, start)
        if literal := _CONSTANT.match(text, at):
            kind = literal.lastgroup or ""
            if kind == "number" and self._word_end(literal.end()) > literal.end():
                raise self._fault(f"bad number {text[at : self._word_end(literal.end())]}", start)
            return kind, literal.end()
        return self._word(start)

    def _word(self, start: int) -> tuple[str, int]:
        """Return kind and end of a keyword, a name of a function, or a constant."""
        at, end = self.at, self._word_end(self.at)
        if end == at:
            shown = self.text[at]
            raise self._fault(
                f"a {shown} in it is not closed" if shown in "\"'`" else f"{shown!r} has no meaning in it",
                start,
            )
        word = self.text[at:end]
        self._require_end(end, start)
        if word in GO_KEYWORDS:
            return "keyword", end
        return {"true": "bool", "false": "bool", "nil": "nil"}.get(word, "name"), end

    def _word_end(self, at: int) -> int:
        """Return the end of the word that begins here."""
        while (c := self.text[at : at + 1]) and (c == "_" or c.isalpha() or c.isdecimal()):
            at += 1
        return at

    def _checked(self, end: int, start: int) -> int:
        """Return the end of a number or a name, which nothing else may follow directly."""
        self._require_end(end, start)
        return end

    def _require_end(self, at: int, start: int) -> None:
        """Require that a word ends at this place, as Go does: ``.X+1`` is an error."""
        if at < len(self.text) and self.text[at] not in _SPACES + ".,|:()" and not self._closing(at):
            raise self._fault(f"{self.text[at]!r} has no meaning after a name", start)

    def _fault(self, what: str, start: int) -> InputError:
        """Return the error for text that is no token, with the line."""
        line = self.text.count("\n", 0, start) + 1
        shown = self.text[start:].partition("\n")[0]
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        return InputError(
            f"The Go template is damaged: {one_line(shown)}: {what}.", where=template_line(line)
        )

    def _add(self, kind: str, text: str) -> None:
        """Add a token with its line."""
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        self.tokens.append(GoToken(kind, text, self.line))
