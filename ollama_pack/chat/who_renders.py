"""What makes the prompt in Ollama: a built-in renderer, the TEMPLATE, or the chat template of the GGUF.

Since 0.30 the chat template of the GGUF overrules a TEMPLATE with fewer capabilities. Ollama guesses the
capabilities of both from words in them; the same words are looked for here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ollama_pack.chat.go_prompt import GoPrompt

DEFAULT_GO_TEMPLATE = "{{ .Prompt }}"
"""The template that Ollama executes if a TEMPLATE is needed and the model has none."""

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
    """The templates and settings of a model in Ollama that decide who makes its prompt.

    Attributes:
        template: its TEMPLATE, own or inherited; None if it has none.
        jinja: ``tokenizer.chat_template`` of its GGUF, or an empty string.
        renderer: its RENDERER, or an empty string.
        parser: its PARSER, or an empty string.
        family: the ``model_family`` in Ollama's configuration of the model.
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
        source: the templates and settings of the model.
        version: the release of Ollama; None for the latest.
        go_template: what ``OLLAMA_GO_TEMPLATE`` says in the environment of the daemon; None if it is not set.

    Raises:
        InputError: the TEMPLATE is damaged.
        UnsupportedError: the TEMPLATE uses something that is not supported.

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
    from ollama_pack.chat.go_prompt import read_go_prompt

    return Sender.JINJA if jinja_overrules(source.jinja, read_go_prompt(source.template)) else Sender.GO


def read_go_template(environment: Mapping[str, str]) -> bool | None:
    """Return what ``OLLAMA_GO_TEMPLATE`` says, as Ollama reads it; None if it is not set.

    A daemon that was started elsewhere may have another value, so later the daemon itself is asked what it
    renders.

    Example:
        >>> read_go_template({"OLLAMA_GO_TEMPLATE": "0"}), read_go_template({})
        (False, None)
    """
    text = environment.get("OLLAMA_GO_TEMPLATE", "").strip().strip("\"'")
    return text not in ("0", "f", "F", "false", "FALSE", "False") if text else None


def jinja_overrules(jinja: str, prompt: "GoPrompt") -> bool:
    """Return whether Ollama takes the chat template of a GGUF although there is a TEMPLATE.

    Args:
        jinja: the chat template, or an empty string if the GGUF has none.
        prompt: the TEMPLATE.
    """
    from ollama_pack.chat.go_capabilities import go_capabilities, go_round_trip

    if not jinja:
        return False
    candidate, current = jinja_capabilities(jinja), go_capabilities(prompt)
    if len(candidate) > len(current):
        return not go_round_trip(prompt) or _jinja_round_trip(jinja)
    if candidate != current or "tools" not in candidate:
        return False
    return _jinja_round_trip(jinja) and not go_round_trip(prompt)


def jinja_capabilities(jinja: str) -> frozenset[str]:
    """Return the capabilities that Ollama assumes of a chat template: ``tools``, ``thinking``."""
    found = {"tools"} if "tools" in jinja or "tool_call" in jinja else set()
    splits = any(word in jinja for word in _THINK_SPLITS)
    hides = splits and "reasoning_content" not in jinja and "<SPECIAL_12>" not in jinja
    if ("<think>" in jinja and "</think>" in jinja) or hides:
        found.add("thinking")
    return frozenset(found)


def _is_harmony(source: PromptSource) -> bool:
    """Return whether Ollama renders a model in the format of gpt-oss."""
    text = source.template or ""
    return source.family in _HARMONY_FAMILIES and "<|start|>" in text and "<|end|>" in text


def _jinja_round_trip(jinja: str) -> bool:
    """Return whether a chat template writes both the calls of tools and their results."""
    return ("tool_calls" in jinja or "assistant_tool_call" in jinja) and any(
        word in jinja for word in _TOOL_ROLES
    )
