"""Who makes the prompt in an Ollama: a renderer of its own, the TEMPLATE, or the chat template of the GGUF.

Since 0.30 the chat template of the GGUF overrules a TEMPLATE that can do less. What each can do Ollama
guesses from words in them; the same words are looked for here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

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
from ollama_pack.chat.go_prompt import GoPrompt, read_go_prompt

DEFAULT_GO_TEMPLATE = "{{ .Prompt }}"
"""What Ollama executes where a TEMPLATE is needed and the model has none."""

JINJA_FROM = (0, 30, 0)
"""The first release that lets the chat template of the GGUF make prompts."""

_HARMONY_FAMILIES = ("gptoss", "gpt-oss")
_TOOL_ROLES = (
    *("tool_response", "tool_results", "ipython"),
    *(f"role{close}] == {quote}tool{quote}" for close in ("'", '"') for quote in ("'", '"')),
    *(f"message.role == {quote}tool{quote}" for quote in ("'", '"')),
)
_THINK_SPLITS = ("content.split('</think>')", 'content.split("</think>")')


class Sender(Enum):
    """Who makes the prompt."""

    RENDERER = "a renderer of Ollama"
    GO = "the TEMPLATE"
    JINJA = "the chat template of the base"


@dataclass(frozen=True, slots=True)
class PromptSource:
    """What a model in Ollama has that decides its prompt.

    Attributes:
        template: its TEMPLATE, own or inherited; None if it has none.
        jinja: ``tokenizer.chat_template`` of its GGUF, or an empty string.
        renderer: its RENDERER, or an empty string.
        parser: its PARSER, or an empty string.
        family: the architecture that Ollama has written down for it.
    """

    template: str | None = None
    jinja: str = ""
    renderer: str = ""
    parser: str = ""
    family: str = ""


def who_renders(
    source: PromptSource, version: tuple[int, int, int] | None, *, go_template: bool | None = None
) -> Sender:
    """Return who makes the prompt of a model.

    Args:
        source: what the model has.
        version: the release of Ollama; None for the latest.
        go_template: what ``OLLAMA_GO_TEMPLATE`` says in the environment of the daemon; None if it is not set.

    Raises:
        InputError: the TEMPLATE is damaged.
        UnsupportedError: the TEMPLATE uses what is not supported here.

    Example:
        >>> chatml = PromptSource("{{ .Prompt }}", jinja="{% if tools %}{% endif %}")
        >>> who_renders(chatml, (0, 12, 0)), who_renders(chatml, (0, 33, 0))
        (<Sender.GO: 'the TEMPLATE'>, <Sender.JINJA: 'the chat template of the base'>)
    """
    if source.renderer or _is_harmony(source):
        return Sender.RENDERER
    if source.parser or (version is not None and version < JINJA_FROM):
        return Sender.GO
    if source.template is None:
        return Sender.JINJA
    if go_template is not None:
        return Sender.GO if go_template else Sender.JINJA
    return Sender.JINJA if jinja_overrules(source.jinja, read_go_prompt(source.template)) else Sender.GO


def jinja_overrules(jinja: str, prompt: GoPrompt) -> bool:
    """Return whether Ollama takes the chat template of a GGUF although there is a TEMPLATE.

    Args:
        jinja: the chat template, or an empty string if the GGUF has none.
        prompt: the TEMPLATE.
    """
    if not jinja:
        return False
    candidate, current = jinja_capabilities(jinja), go_capabilities(prompt)
    if len(candidate) > len(current):
        return not _go_round_trip(prompt) or _jinja_round_trip(jinja)
    if candidate != current or "tools" not in candidate:
        return False
    return _jinja_round_trip(jinja) and not _go_round_trip(prompt)


def jinja_capabilities(jinja: str) -> frozenset[str]:
    """Return what Ollama thinks that a chat template can do: ``tools``, ``thinking``."""
    found = {"tools"} if "tools" in jinja or "tool_call" in jinja else set()
    splits = any(word in jinja for word in _THINK_SPLITS)
    hides = splits and "reasoning_content" not in jinja and "<SPECIAL_12>" not in jinja
    if ("<think>" in jinja and "</think>" in jinja) or hides:
        found.add("thinking")
    return frozenset(found)


def go_capabilities(prompt: GoPrompt) -> frozenset[str]:
    """Return what Ollama thinks that a TEMPLATE can do: ``tools``, ``insert``, ``thinking``."""
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


def _is_harmony(source: PromptSource) -> bool:
    text = source.template or ""
    return source.family in _HARMONY_FAMILIES and "<|start|>" in text and "<|end|>" in text


def _jinja_round_trip(jinja: str) -> bool:
    """Return whether a chat template shows both the calls of tools and their results."""
    return ("tool_calls" in jinja or "assistant_tool_call" in jinja) and any(
        word in jinja for word in _TOOL_ROLES
    )


def _go_round_trip(prompt: GoPrompt) -> bool:
    text = prompt.template.text
    shown = any(word in text for word in ('eq .Role "tool"', "tool_response", "TOOL_RESULTS"))
    return shown and {"tools", "toolcalls"} <= prompt.names


def _lists_with_thinking(nodes: GoNodes, *, in_messages: bool) -> Iterator[GoNodes]:
    """Yield each list of parts in which ``.Thinking`` is mentioned, inside a ``range`` over messages."""
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
    return [node.pipe] if isinstance(node, GoAction | GoBranch | GoCall) and node.pipe else []


def _first_names(pipes: Iterable[GoPipeline]) -> set[str]:
    """Return the first names of the fields in pipelines; those in parentheses count too."""
    found: set[str] = set()
    for pipe in pipes:
        operands = [operand for command in pipe.commands for operand in command]
        found |= {operand.names[0] for operand in operands if isinstance(operand, GoField)}
        found |= _first_names(operand for operand in operands if isinstance(operand, GoPipeline))
    return found
