"""The capabilities that Ollama assumes of a Go TEMPLATE, by the names and words in it."""

from collections.abc import Iterable, Iterator, Sequence

from ollama_pack.chat.go_nodes import (
    GoAction,
    GoBranch,
    GoCall,
    GoField,
    GoNode,
    GoNodes,
    GoPipeline,
    GoText,
)
from ollama_pack.chat.go_prompt import GoPrompt


def go_capabilities(prompt: GoPrompt) -> frozenset[str]:
    """Return the capabilities that Ollama assumes of a TEMPLATE: ``tools``, ``insert``, ``thinking``."""
    found = {word for word, name in (("tools", "tools"), ("insert", "suffix")) if name in prompt.names}
    if all(thinking_tags(prompt)):
        found.add("thinking")
    return frozenset(found)


def thinking_tags(prompt: GoPrompt) -> tuple[str, str]:
    """Return the texts around ``.Thinking`` in the messages of a TEMPLATE, or empty strings."""
    tags = ["", ""]
    for nodes in _lists_with_thinking(prompt.template.root, in_messages=False):
        for at, node in enumerate((nodes[0], nodes[-1])):
            if isinstance(node, GoText):
                tags[at] = node.text.decode("utf-8", "replace").strip()
    return tags[0], tags[1]


def go_round_trip(prompt: GoPrompt) -> bool:
    """Return whether a TEMPLATE shows both the calls of tools and their results."""
    text = prompt.template.text
    shown = any(word in text for word in ('eq .Role "tool"', "tool_response", "TOOL_RESULTS"))
    return shown and {"tools", "toolcalls"} <= prompt.names


def _lists_with_thinking(nodes: GoNodes, *, in_messages: bool) -> Iterator[GoNodes]:
    """Yield each list of nodes in which ``.Thinking`` is mentioned, inside a ``range`` over messages."""
    for node in nodes:
        if in_messages and "Thinking" in _first_names(_pipes_of(node)):
            yield nodes
        if isinstance(node, GoBranch):
            inside = in_messages
            if node.word == "range":
                inside = "Messages" in _first_names([node.pipe])
            for inner in (node.body, node.otherwise or ()):
                yield from _lists_with_thinking(inner, in_messages=inside)


def _pipes_of(node: GoNode) -> Sequence[GoPipeline]:
    """Return the pipeline of a node, if it has one."""
    return [node.pipe] if isinstance(node, GoAction | GoBranch | GoCall) and node.pipe else []


def _first_names(pipes: Iterable[GoPipeline]) -> set[str]:
    """Return the first names of the fields in pipelines; those in parentheses count too."""
    found: set[str] = set()
    for pipe in pipes:
        operands = [operand for command in pipe.commands for operand in command]
        found |= {operand.names[0] for operand in operands if isinstance(operand, GoField)}
        found |= _first_names(operand for operand in operands if isinstance(operand, GoPipeline))
    return found
