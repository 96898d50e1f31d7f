"""Executes Go templates, as Go's ``text/template`` does with the option that Ollama sets.

A template comes from a stranger, so steps, output and depth are bounded.
"""

from typing import TYPE_CHECKING

from ollama_pack.chat.go_evaluator import GoBinding, GoEvaluator, GoSettings
from ollama_pack.chat.go_functions import GoCallError
from ollama_pack.chat.go_nodes import (
    GoAction,
    GoBranch,
    GoCall,
    GoJump,
    GoNodes,
    GoPipeline,
    GoTemplate,
    GoText,
)
from ollama_pack.chat.go_tokens import template_line
from ollama_pack.chat.go_values import NOTHING, GoList, GoMap, GoValue, is_true, printed
from ollama_pack.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

DEEPEST_CALLS = 60
"""The deepest nesting of actions and templates that is executed."""


def execute_go(template: GoTemplate, data: GoValue, settings: GoSettings) -> bytes:
    """Return what a Go template makes of its data.

    Args:
        template: what `parse_go` returns.
        data: the value of ``.`` at the beginning.
        settings: how it is executed.

    Raises:
        InputError: Go would fail too; the error names the line.
        UnsupportedError: it takes too many steps, makes too much text, or uses what is not supported.

    Example:
        >>> from ollama_pack.chat.go_parser import parse_go
        >>> execute_go(parse_go("{{ len .X }}"), go_value({"X": "é"}), GoSettings(date(2026, 1, 2)))
        b'2'
    """
    return _Interpreter(template, settings).run(data)


class _Break(Exception):  # noqa: N818 — it is no error
    """Leaves a ``range``."""


class _Continue(Exception):  # noqa: N818 — it is no error
    """Goes to the next turn of a ``range``."""


class _Interpreter(GoEvaluator):
    """The evaluator, with the actions that write text and those that contain other actions."""

    def __init__(self, template: GoTemplate, settings: GoSettings) -> None:
        super().__init__(settings)
        self.template = template
        self.out: list[bytes] = []
        self.depth = 0

    def run(self, data: GoValue) -> bytes:
        """Execute the whole template."""
        self.variables = [GoBinding("$", data)]
        try:
            self._walk(self.template.root, data)
        except GoCallError as error:
            raise self._fault(str(error)) from error
        except UnsupportedError as error:
            raise UnsupportedError(error.what, where=template_line(self.line)) from error
        return b"".join(self.out)

    def _walk(self, nodes: GoNodes, dot: GoValue) -> None:
        """Execute nodes one after another."""
        self.depth += 1
        if self.depth > DEEPEST_CALLS:
            raise self._unsupported(f"the actions of the TEMPLATE are more than {DEEPEST_CALLS} levels deep")
        for node in nodes:
            match node:
                case GoText():
                    self._step(node.line)
                    self.out.append(self._made(node.text))
                case GoAction():
                    value = self._pipeline(node.pipe, dot)
                    if not node.pipe.variables:
                        self.out.append(self._made(b"<no value>" if value is NOTHING else printed(value)))
                case GoBranch():
                    known = len(self.variables)
                    self._branch(node, dot)
                    del self.variables[known:]
                case GoCall():
                    self._call(node, dot)
                case GoJump():
                    self.depth -= 1
                    raise _Break if node.word == "break" else _Continue
        self.depth -= 1

    def _branch(self, node: GoBranch, dot: GoValue) -> None:
        """Execute an `if`, a `with` or a `range`."""
        value = self._pipeline(node.pipe, dot)
        if node.word == "range":
            if self._range(node, value):
                return
        elif is_true(value):
            self._walk(node.body, value if node.word == "with" else dot)
            return
        if node.otherwise is not None:
            self._walk(node.otherwise, dot)

    def _range(self, node: GoBranch, value: GoValue) -> bool:
        """Execute the body of a ``range`` for each element of a value; return whether there was one."""
        known, depth = len(self.variables), self.depth
        ran = False
        for place, item in self._turns(node, value):
            ran = True
            self._step(node.pipe.line)
            self._set_turn(node.pipe, place, item, boxed=not isinstance(value, int))
            try:
                self._walk(node.body, item)
            except (_Break, _Continue) as jump:
                self.depth = depth
                if isinstance(jump, _Break):
                    break
            finally:
                del self.variables[known:]
        return ran

    def _turns(self, node: GoBranch, value: GoValue) -> "Iterable[tuple[GoValue, GoValue]]":
        """Return index (or key) and element for each turn of a ``range``."""
        match value:
            case bool():
                pass
            case int():
                if len(node.pipe.variables) < 2:
                    return ((NOTHING, number) for number in range(value))
                raise self._fault("range over a number can have only one variable")
            case GoList():
                return enumerate(value.items)
            case GoMap():
                return ((key, value.items[key]) for key in sorted(value.items))
            case _ if value is NOTHING or value is None:
                return ()
        raise self._fault("range can only go through a list, a map or a number")

    def _set_turn(self, pipe: GoPipeline, place: GoValue, item: GoValue, *, boxed: bool) -> None:
        """Give the variables of a ``range`` their values; if `boxed`, the element may be in an interface."""
        for back, name in enumerate(reversed(pipe.variables)):
            value = (item, place)[back]
            if pipe.assigns:
                self._assign(name, value)
            else:
                self.variables[-1 - back] = GoBinding(name, value)
            self._binding(name).is_element = boxed and not back

    def _call(self, node: GoCall, dot: GoValue) -> None:
        """Execute a `template` action: the named template, with variables of its own."""
        self._step(node.line)
        # The template itself has the empty name; an empty define does not replace it.
        root = self.template.defined.get(node.name, self.template.root if node.name == "" else None)
        if root is None or self.settings.is_bare:
            raise self._fault(f'no template "{node.name}" is defined')
        value = self._pipeline(node.pipe, dot) if node.pipe else NOTHING
        outer, depth = self.variables, self.depth
        self.variables = [GoBinding("$", value)]
        self._walk(root, value)
        self.variables, self.depth = outer, depth
