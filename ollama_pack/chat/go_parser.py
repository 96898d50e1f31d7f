"""Parses Go templates, by the rules of Go's ``text/template/parse``.

The parser has the subset that the templates of Ollama use. Everything else in Go's language is reported as
unsupported, and not as an error of the template.
"""

from ollama_pack.chat.go_literals import literal_value
from ollama_pack.chat.go_nodes import GoAction, GoBranch, GoCall, GoJump, GoNode, GoNodes, GoTemplate, GoText
from ollama_pack.chat.go_pipelines import PipelineParser


def parse_go(text: str) -> GoTemplate:
    """Return the nodes of a Go template.

    Args:
        text: the template.

    Raises:
        InputError: Go would not accept it; the error names the line.
        UnsupportedError: it uses something that the interpreter does not support; the error names the line.

    Example:
        >>> parse_go("{{ .Prompt }}").root[0].pipe.commands[0][0].names
        ('Prompt',)
    """
    return _Parser(text).template()


class _Parser(PipelineParser):
    """The parser of pipelines, with the actions that contain other actions."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.ranges = 0
        self.defined: dict[str, GoNodes] = {}

    def template(self) -> GoTemplate:
        """Parse the whole text; a ``define`` is allowed only here."""
        root: list[GoNode] = []
        while self.token.kind != "eof":
            if self.token.kind == "open" and self._keyword_after_open() == "define":
                self._define()
                continue
            found = self._text_or_action()
            if isinstance(found, str):
                raise self._fault(f"no action is open before {{{{ {found} }}}}")
            root.append(found)
        return GoTemplate(self.text, tuple(root), self.defined)

    def _keyword_after_open(self) -> str:
        """Return the keyword that the next action begins with, without consuming it; empty if it has none."""
        at = self.at + 1
        while self.tokens[at].kind == "space":
            at += 1
        return self.tokens[at].text if self.tokens[at].kind == "keyword" else ""

    def _define(self) -> None:
        """Read a `define` up to its end, and keep its template."""
        self._next()
        self._skip_spaces()
        self._next()
        name = self._name("define")
        if not name:
            raise self._unsupported("a define without a name")
        self._expect("close", "define")
        outer = self.variables, self.ranges
        self.variables, self.ranges = ["$"], 0
        body, closed_by = self._nodes()
        self.variables, self.ranges = outer
        if closed_by != "end":
            raise self._fault("define cannot have an else")
        if not _is_empty_body(self.defined.get(name, ())):
            if not _is_empty_body(body):
                raise self._fault(f'"{name}" is defined twice')
            return
        self.defined[name] = body

    def _name(self, after: str) -> str:
        """Read the quoted name of a template."""
        if self._skip_spaces().kind not in ("string", "raw"):
            raise self._fault(f"{self._shown()} is not expected after {after}")
        value = literal_value(self._next())
        assert isinstance(value, bytes)
        return value.decode("utf-8", "replace")

    def _nodes(self) -> tuple[GoNodes, str]:
        """Parse up to the ``else`` or ``end`` of the open action; return the nodes and which one it was."""
        self._enter()
        nodes: list[GoNode] = []
        while self.token.kind != "eof":
            found = self._text_or_action()
            if isinstance(found, str):
                self.nesting -= 1
                return tuple(nodes), found
            nodes.append(found)
        raise self._fault("an {{ end }} is missing")

    def _text_or_action(self) -> GoNode | str:  # noqa: PLR0911 — one for each kind
        """Parse one node; return the text ``else`` or ``end`` instead if one of these comes next."""
        token = self._next()
        if token.kind == "text":
            return GoText(token.text.encode("utf-8", "replace"), token.line)
        if self._skip_spaces().kind != "keyword":
            return GoAction(self._pipeline("close", "the action"))
        word = self._next().text
        match word:
            case "if" | "with" | "range":
                return self._branch(word)
            case "end":
                self._expect("close", word)
                return word
            case "else":
                following = self._skip_spaces()
                if not (following.kind == "keyword" and following.text in ("if", "with")):
                    self._expect("close", word)
                return word
            case "break" | "continue":
                if not self.ranges:
                    raise self._fault(f"{word} stands outside range")
                self._expect("close", word)
                return GoJump(word, token.line)
            case "template":
                return self._call(token.line)
            case "define":
                raise self._fault("a define stands inside another action")
        raise self._unsupported(f"the action {word}")

    def _call(self, line: int) -> GoCall:
        """Read a `template` action."""
        name = self._name("template")
        if self._skip_spaces().kind == "close":
            self._next()
            return GoCall(name, None, line)
        return GoCall(name, self._pipeline("close", "template"), line)

    def _branch(self, word: str) -> GoBranch:
        """Read an `if`, a `with` or a `range` up to its end."""
        known = len(self.variables)
        pipe = self._pipeline("close", word)
        self.ranges += word == "range"
        body, closed_by = self._nodes()
        self.ranges -= word == "range"
        otherwise: GoNodes | None = None
        if closed_by == "else":
            if word != "range" and self.token.kind == "keyword" and self.token.text == word:
                self._next()
                self._enter()
                otherwise = (self._branch(word),)
                self.nesting -= 1
            elif self.token.kind == "keyword":
                raise self._fault(f"{word} cannot have an else {self.token.text}")
            else:
                otherwise, closed_by = self._nodes()
                if closed_by != "end":
                    raise self._fault(f"the {word} before it has an else already")
        del self.variables[known:]
        return GoBranch(word, pipe, body, otherwise)


def _is_empty_body(nodes: GoNodes) -> bool:
    """Return whether a ``define`` has only white space, so that another one of the same name replaces it."""
    return all(isinstance(node, GoText) and not node.text.strip() for node in nodes)
