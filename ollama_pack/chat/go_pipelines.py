"""Parses what stands inside an action of a Go template: pipelines, commands and their operands."""

from ollama_pack.chat.go_literals import literal_value
from ollama_pack.chat.go_nodes import (
    GoChain,
    GoDot,
    GoField,
    GoFunction,
    GoLiteral,
    GoOperand,
    GoPipeline,
    GoVariable,
)
from ollama_pack.chat.go_tokens import GoToken, split_go_template, template_line
from ollama_pack.errors import InputError, UnsupportedError

GO_FUNCTIONS = frozenset(
    {
        *("and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge"),
        *("len", "index", "slice", "print", "printf", "json", "currentDate", "yesterdayDate"),
    }
)
"""The functions that the interpreter supports."""

OTHER_GO_FUNCTIONS = frozenset({"call", "html", "js", "println", "urlquery", "toTypeScriptType"})
"""Functions of Go or Ollama that the interpreter does not support."""

DEEPEST_NESTING = 60
"""The deepest nesting of actions and parentheses that is parsed."""

_OPERANDS = frozenset(
    {"bool", "nil", "number", "char", "string", "raw", "dot", "field", "name", "variable", "("}
)


class PipelineParser:
    """The state of parsing: the tokens of a template, a position in them, and the variables that exist there.

    Args:
        text: the template.

    Raises:
        InputError: the template cannot be split into tokens.
    """

    def __init__(self, text: str) -> None:
        self.tokens = split_go_template(text)
        self.at = 0
        self.variables = ["$"]
        self.nesting = 0

    @property
    def token(self) -> GoToken:
        """The next token."""
        return self.tokens[self.at]

    def _next(self) -> GoToken:
        """Return the next token, and move to the token after it."""
        token = self.tokens[self.at]
        self.at += 1
        return token

    def _skip_spaces(self) -> GoToken:
        """Move to the next token that is not a space, and return it."""
        while self.token.kind == "space":
            self.at += 1
        return self.token

    def _expect(self, kind: str, after: str) -> GoToken:
        """Read a token that must be of this kind, after spaces."""
        if self._skip_spaces().kind != kind:
            raise self._fault(f"{self._shown()} is not expected after {after}")
        return self._next()

    def _pipeline(self, end: str, context: str) -> GoPipeline:
        """Read a pipeline up to a token of the kind `end`."""
        line = self._skip_spaces().line
        variables, assigns = self._declaration(context)
        commands: list[tuple[GoOperand, ...]] = []
        while self._skip_spaces().kind != end:
            if self.token.kind not in _OPERANDS:
                raise self._fault(f"{self._shown()} is not expected in {context}")
            commands.append(self._command())
        self._next()
        if not commands:
            raise self._fault(f"a value is missing for {context}")
        for command in commands[1:]:
            if isinstance(command[0], GoLiteral | GoDot):
                raise self._fault("only a function can get the result of the command before a |")
        return GoPipeline(tuple(commands), tuple(variables), assigns, line)

    def _declaration(self, context: str) -> tuple[list[str], bool]:
        """Parse ``$x :=``, ``$x =`` or ``$x, $y :=``, if the pipeline begins with one."""
        names: list[str] = []
        while self._skip_spaces().kind == "variable":
            start, name = self.at, self._next().text
            mark = self._skip_spaces().kind
            if mark in ("assign", "declare"):
                self._next()
                self.variables.append(name)
                return [*names, name], mark == "assign"
            if mark != ",":
                self.at = start
                break
            self._next()
            names.append(name)
            self.variables.append(name)
            if context != "range" or len(names) > 1:
                raise self._fault(f"too many variables in {context}")
            if self._skip_spaces().kind not in ("variable", "close", ")"):
                raise self._fault("range can only initialize variables")
        return names, False

    def _command(self) -> tuple[GoOperand, ...]:
        """Read one command of a pipeline: its operands."""
        operands: list[GoOperand] = []
        while True:
            if self._skip_spaces().kind in _OPERANDS:
                operands.append(self._operand())
            kind = self.token.kind
            if kind == "space":
                self._next()
                continue
            if kind == "pipe":
                self._next()
            elif kind not in ("close", ")"):
                raise self._fault(f"{self._shown()} is not expected there")
            if not operands:
                raise self._fault("a command is missing beside a |")
            return tuple(operands)

    def _operand(self) -> GoOperand:
        """Read an operand with the fields behind it."""
        term = self._term()
        names: list[str] = []
        while self.token.kind == "field":
            names.append(self._next().text[1:])
        if not names:
            return term
        match term:
            case GoField():
                return GoField((*term.names, *names), term.line)
            case GoVariable():
                return GoVariable(term.name, (*term.fields, *names), term.line)
            case GoLiteral() | GoDot():
                raise self._fault(f".{names[0]} is not expected after a constant")
        assert isinstance(term, GoPipeline | GoFunction)
        return GoChain(term, tuple(names), term.line)

    def _term(self) -> GoOperand:
        """Read an operand without the fields behind it."""
        token = self._next()
        match token.kind:
            case "dot":
                return GoDot(token.line)
            case "field":
                return GoField((token.text[1:],), token.line)
            case "variable":
                if token.text not in self.variables:
                    raise self._fault(f"there is no variable {token.text}")
                return GoVariable(token.text, (), token.line)
            case "name":
                if token.text in OTHER_GO_FUNCTIONS:
                    raise self._unsupported(f"the function {token.text}")
                if token.text not in GO_FUNCTIONS:
                    raise self._fault(f"there is no function {token.text}")
                return GoFunction(token.text, token.line)
            case "(":
                self._enter()
                pipe = self._pipeline(")", "the parentheses")
                self.nesting -= 1
                return pipe
        return GoLiteral(literal_value(token), token.line)

    def _shown(self) -> str:
        """Return the token as an error shows it."""
        return {"eof": "the end", "close": "}}"}.get(self.token.kind, f"{self.token.text!r:.40}")

    def _fault(self, what: str) -> InputError:
        """Return the error for a template that Go would not parse, with the line."""
        return InputError(f"The Go template is damaged: {what}.", where=template_line(self.token.line))

    def _unsupported(self, what: str) -> UnsupportedError:
        """Return the error for something that this subset does not support, with the line."""
        return UnsupportedError(
            f"The prompt cannot be computed: {what} is not supported.", where=template_line(self.token.line)
        )

    def _enter(self) -> None:
        """Count one more level of nesting, and refuse too many."""
        self.nesting += 1
        if self.nesting > DEEPEST_NESTING:
            raise self._unsupported(f"more than {DEEPEST_NESTING} levels of nesting")
