"""What Ollama makes of a conversation with a Go TEMPLATE, before it reaches the model.

A template that mentions ``.Messages`` is executed once, with all of them. An older one is executed for each
turn, with ``.System``, ``.Prompt`` and ``.Response``, and the last turn ends where the response would begin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ollama_pack.chat.go_data import go_messages, go_tools, merge_neighbours, system_text
from ollama_pack.chat.go_evaluator import GoSettings
from ollama_pack.chat.go_interpreter import execute_go
from ollama_pack.chat.go_nodes import (
    GoAction,
    GoBranch,
    GoCall,
    GoField,
    GoNode,
    GoNodes,
    GoOperand,
    GoPipeline,
    GoTemplate,
    GoVariable,
)
from ollama_pack.chat.go_parser import parse_go
from ollama_pack.chat.go_values import go_value
from ollama_pack.chat.trained import Turn
from ollama_pack.errors import InputError

_RESPONSE = "Response"
_RESPONSE_ACTION = GoAction(GoPipeline(((GoField((_RESPONSE,), 1),),), (), assigns=False, line=1))


@dataclass(frozen=True, slots=True)
class GoPrompt:
    """A Go TEMPLATE as Ollama has it, parsed once.

    Attributes:
        template: its nodes; ``{{ .Response }}`` is added if it mentions neither ``.Response`` nor
            ``.Messages``.
        names: the names of fields and variables in it, in lower case.
    """

    template: GoTemplate
    names: frozenset[str]

    def fill(
        self,
        messages: Sequence[Turn],
        today: date,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        think: bool | None = None,
    ) -> str:
        """Return the prompt of a conversation.

        Args:
            messages: the messages, with the SYSTEM and the MESSAGEs of the model at their beginning.
            today: the date of the daemon.
            tools: the tools of the request.
            think: the ``think`` of the request; None if the request has none.

        Raises:
            InputError: Ollama would fail too.
            UnsupportedError: the template uses something that is not supported, or takes too many steps.

        Example:
            >>> prompt = read_go_prompt("[INST] {{ .System }} {{ .Prompt }} [/INST]")
            >>> prompt.fill([{"role": "user", "content": "Hi"}], date(2026, 1, 2))
            '[INST]  Hi [/INST]'
        """
        merged = merge_neighbours(messages)
        common = {"Think": bool(think), "ThinkLevel": "", "IsThinkSet": think is not None}
        if "messages" in self.names:
            data = {
                "System": system_text(messages),
                "Messages": go_messages(merged),
                "Tools": go_tools(tools),
                _RESPONSE: "",
                **common,
            }
            made = execute_go(self.template, go_value(data), GoSettings(today))
        else:
            made = self._by_turns(merged, common, today)
        return made.decode("utf-8", "replace")

    def _by_turns(self, messages: Sequence[Turn], common: Mapping[str, object], today: date) -> bytes:
        """Return the prompt that an older template makes, turn by turn."""
        *earlier, last = list(_turns(messages))
        made = [
            execute_go(self.template, go_value({**turn, **common}), GoSettings(today)) for turn in earlier
        ]
        settings = GoSettings(today, is_bare=True)
        made.append(execute_go(_cut_at_response(self.template), go_value({**last, **common}), settings))
        return b"".join(made)


def read_go_prompt(text: str) -> GoPrompt:
    """Return a Go TEMPLATE, ready to be filled.

    Raises:
        InputError: Ollama would not accept it.
        UnsupportedError: it uses something that is not supported.
    """
    template = parse_go(text)
    nodes = [*template.root, *(node for body in template.defined.values() for node in body)]
    names = frozenset(name.lower() for node in nodes for name in _names_in(node))
    if not names & {"messages", "response"}:
        template = replace(template, root=(*template.root, _RESPONSE_ACTION))
        names |= {"response"}
    return GoPrompt(template, names)


def _turns(messages: Sequence[Turn]) -> Iterator[dict[str, str]]:
    """Yield system, prompt and response of each turn; the response of the last turn is still to come."""
    turn = {"System": "", "Prompt": "", _RESPONSE: ""}
    for message in messages:
        role, text = message["role"], str(message.get("content") or "")
        ends = {"system": turn["Prompt"] or turn[_RESPONSE], "user": turn[_RESPONSE]}.get(role, "")
        if ends:
            yield turn
            turn = {"System": "", "Prompt": "", _RESPONSE: ""}
        field = {"system": "System", "user": "Prompt", "assistant": _RESPONSE}.get(role)
        if field:
            turn[field] = text
    yield turn


def _names_in(node: GoNode) -> Iterator[str]:
    """Yield the names that Ollama sees in a node; it does not look inside ``( … ).X``."""
    match node:
        case GoAction():
            yield from _names_in_pipe(node.pipe)
        case GoCall():
            if node.pipe is None:
                raise InputError("Ollama does not accept a template action without a value after the name.")
            yield from _names_in_pipe(node.pipe)
        case GoBranch():
            yield from _names_in_pipe(node.pipe)
            for inner in (*node.body, *(node.otherwise or ())):
                yield from _names_in(inner)


def _names_in_pipe(pipe: GoPipeline) -> Iterator[str]:
    """Yield the names of all fields and variables in a pipeline."""
    for command in pipe.commands:
        for operand in command:
            match operand:
                case GoField():
                    yield from operand.names
                case GoVariable():
                    yield from (operand.name, *operand.fields)
                case GoPipeline():
                    yield from _names_in_pipe(operand)


def _cut_at_response(template: GoTemplate) -> GoTemplate:
    """Return a template without what comes after the first action that mentions ``.Response``."""
    nodes, _ = _before_response(template.root)
    return replace(template, root=nodes)


def _before_response(nodes: GoNodes) -> tuple[GoNodes, bool]:
    """Return the nodes up to ``.Response``, and whether it is among them."""
    kept: list[GoNode] = []
    for node in nodes:
        if isinstance(node, GoAction):
            pipe, found = _pipe_before_response(node.pipe)
            kept.append(GoAction(pipe))
            if found:
                return tuple(kept), True
        elif isinstance(node, GoBranch):
            body, found = _before_response(node.body)
            if found and node.otherwise is not None:
                raise InputError(
                    "Ollama fails on this Go template: .Response stands in a branch that has an else."
                )
            otherwise = node.otherwise
            if otherwise is not None:
                otherwise, found = _before_response(otherwise)
            kept.append(replace(node, body=body, otherwise=otherwise))
            if found:
                return tuple(kept), True
        else:
            kept.append(node)
    return tuple(kept), False


def _pipe_before_response(pipe: GoPipeline) -> tuple[GoPipeline, bool]:
    """Return a pipeline up to the operand ``.Response``, and whether it is there."""
    commands: list[tuple[GoOperand, ...]] = []
    for command in pipe.commands:
        operands: list[GoOperand] = []
        for operand in command:
            operands.append(operand)
            if isinstance(operand, GoField) and _RESPONSE in operand.names:
                return replace(pipe, commands=(*commands, tuple(operands))), True
        commands.append(tuple(operands))
    return pipe, False
