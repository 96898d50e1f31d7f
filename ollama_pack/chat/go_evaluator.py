"""Evaluates what stands inside an action of a Go template: pipelines, commands and their operands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ollama_pack.chat.go_functions import ANY_NUMBER, GO_BUILTINS, OLLAMA_FUNCTIONS, GoBuiltin
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
from ollama_pack.chat.go_tokens import template_line
from ollama_pack.chat.go_values import NOTHING, GoList, GoMap, GoStruct, GoValue, is_true
from ollama_pack.errors import InputError, UnsupportedError


@dataclass(frozen=True, slots=True)
class GoSettings:
    """How a Go template is executed.

    Attributes:
        today: what ``currentDate`` prints.
        most_steps: the number of steps after which the execution is given up.
        most_bytes: the number of bytes that it may make, intermediate results included.
        is_bare: whether the template runs without Ollama's functions and without its option for missing keys,
            as Ollama executes the last turn of a template without ``.Messages``.
    """

    today: date
    most_steps: int = 2_000_000
    most_bytes: int = 64 << 20
    is_bare: bool = False


@dataclass(slots=True)
class GoBinding:
    """A variable of a template.

    Attributes:
        name: its name, with the ``$``.
        value: its value, which an assignment changes.
        is_element: whether it is the element of a ``range``.
    """

    name: str
    value: GoValue
    is_element: bool = False


class GoEvaluator:
    """The state of an execution: its variables, and the steps and bytes that it has used.

    Args:
        settings: how the template is executed.
    """

    def __init__(self, settings: GoSettings) -> None:
        self.settings = settings
        self.variables: list[GoBinding] = []
        self.steps = 0
        self.bytes = 0
        self.line = 1
        yesterday = settings.today - timedelta(days=1)
        self.functions = {
            **GO_BUILTINS,
            "currentDate": _dated(settings.today),
            "yesterdayDate": _dated(yesterday),
        }

    def _step(self, line: int) -> None:
        """Count a step, and remember its line for errors."""
        self.line = line
        self.steps += 1
        if self.steps > self.settings.most_steps:
            raise self._unsupported(f"the TEMPLATE takes more than {self.settings.most_steps} steps")

    def _made(self, text: bytes) -> bytes:
        """Count text that is made, and return it."""
        self.bytes += len(text)
        if self.bytes > self.settings.most_bytes:
            raise self._unsupported(f"the TEMPLATE makes more than {self.settings.most_bytes} bytes")
        return text

    def _pipeline(self, pipe: GoPipeline, dot: GoValue) -> GoValue:
        """Return the result of the last command, and set the variables."""
        final: tuple[GoValue, ...] = ()
        for command in pipe.commands:
            self._step(pipe.line)
            value = self._command(command, dot, final)
            final = (NOTHING if value is None else value,)
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(name, final[0])
            else:
                self.variables.append(GoBinding(name, final[0]))
        return final[0]

    def _assign(self, name: str, value: GoValue) -> None:
        """Give a variable that is declared another value."""
        binding = self._binding(name)
        binding.value, binding.is_element = value, False

    def _binding(self, name: str) -> GoBinding:
        """Return the innermost variable of this name."""
        for variable in reversed(self.variables):
            if variable.name == name:
                return variable
        raise self._fault(f"there is no variable {name}")

    def _command(self, command: Sequence[GoOperand], dot: GoValue, final: tuple[GoValue, ...]) -> GoValue:
        """Return the value of one command; `final` holds what the command before it in the pipeline made."""
        first = command[0]
        if isinstance(first, GoFunction):
            return self._function(first, command[1:], dot, final)
        if len(command) > 1 or final:
            if self._receiver(first, dot) is NOTHING:  # Go does not look further then
                return NOTHING
            raise self._fault("only a function can have arguments")
        if isinstance(first, GoLiteral) and first.value is None:
            raise self._fault("nil is not a command")
        return self._operand(first, dot)

    def _receiver(self, operand: GoOperand, dot: GoValue) -> GoValue:
        """Return the value whose field is the last name of an operand; None if it names no field."""
        match operand:
            case GoField() if len(operand.names) > 1:
                return self._operand(GoField(operand.names[:-1], operand.line), dot)
            case GoField():
                return dot
            case GoVariable() if operand.fields:
                return self._operand(GoVariable(operand.name, operand.fields[:-1], operand.line), dot)
            case GoChain():
                return self._fields(self._operand(operand.of, dot), operand.names[:-1])
        return None

    def _operand(self, operand: GoOperand, dot: GoValue) -> GoValue:  # noqa: PLR0911 — one for each kind
        """Return the value of an operand."""
        match operand:
            case GoLiteral():
                return NOTHING if operand.value is None else operand.value
            case GoDot():
                return dot
            case GoField():
                return self._fields(dot, operand.names)
            case GoVariable():
                return self._fields(self._binding(operand.name).value, operand.fields)
            case GoFunction():
                return self._function(operand, (), dot, ())
            case GoChain():
                return self._fields(self._operand(operand.of, dot), operand.names)
        return self._pipeline(operand, dot)

    def _fields(self, value: GoValue, names: Sequence[str]) -> GoValue:
        """Return the value at the end of a chain of fields."""
        for name in names:
            match value:
                case GoMap():
                    missing = NOTHING if self.settings.is_bare else None
                    value = value.items.get(name.encode("utf-8", "replace"), missing)
                case GoStruct() if name in value.fields:
                    value = value.fields[name]
                case GoList() | GoMap() | GoStruct() if value.as_json and name == "String":
                    raise self._unsupported("the method String is not supported")
                case None:
                    raise self._fault(f"nil has no field .{name}")
                case _ if value is not NOTHING:
                    raise self._fault(f"there is no field .{name}")
        return value

    def _function(
        self, function: GoFunction, operands: Sequence[GoOperand], dot: GoValue, final: tuple[GoValue, ...]
    ) -> GoValue:
        """Call a function with its arguments, and `final` as the last one."""
        if self.settings.is_bare and function.name in OLLAMA_FUNCTIONS:
            raise self._fault(
                f"Ollama has no function {function.name} in the last turn of a template without .Messages"
            )
        number = len(operands) + len(final)
        if function.name in ("and", "or"):
            if not number:
                raise self._fault(f"{function.name} has no arguments")
            for operand in operands:
                value = self._operand(operand, dot)
                if is_true(value) == (function.name == "or"):
                    return value
            return final[0] if final else value
        builtin = self.functions[function.name]
        if not builtin.least <= number <= builtin.most:
            raise self._fault(f"{function.name} has {number} arguments")
        given = [*(self._operand(operand, dot) for operand in operands), *final]
        self._step(function.line)
        if function.name == "slice" and any(map(self._is_boxed, operands[1:])):
            raise self._unsupported("slice with an index from a field or a range is not supported")
        if not all(isinstance(value, bytes) for value in given[: builtin.texts]):
            raise self._fault(f"{function.name} needs a string")
        value = builtin.run(given)
        return self._made(value) if isinstance(value, bytes) else value

    def _is_boxed(self, operand: GoOperand) -> bool:
        """Return whether Go may hold the operand in an interface, which its ``slice`` does not accept."""
        if isinstance(operand, GoVariable) and not operand.fields:
            return self._binding(operand.name).is_element
        return isinstance(operand, GoField | GoVariable | GoChain | GoDot)

    def _fault(self, what: str) -> InputError:
        """Return the error for what Go would fail at, with the line."""
        return InputError(f"The Go template cannot be executed: {what}.", where=template_line(self.line))

    def _unsupported(self, what: str) -> UnsupportedError:
        """Return the error for what this subset cannot compute, with the line."""
        return UnsupportedError(f"The prompt cannot be computed: {what}.", where=template_line(self.line))


def _dated(day: date) -> GoBuiltin:
    """Return a function of Ollama that prints a day; like Ollama's, it ignores its arguments."""
    return GoBuiltin(lambda _: day.isoformat().encode(), 0, texts=ANY_NUMBER)
