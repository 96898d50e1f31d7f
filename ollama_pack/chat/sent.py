"""The prompt that a model in Ollama gets, with the begin of text that its tokenizer adds.

Prompts that Ollama's built-in renderers make are not computed.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ollama_pack.chat.renderer import ChatRenderer
from ollama_pack.chat.trained import ChatTemplate, Conversation, Turn
from ollama_pack.chat.who_renders import (
    DEFAULT_GO_TEMPLATE,
    PromptSource,
    Sender,
    jinja_capabilities,
    who_renders,
)
from ollama_pack.errors import InputError, UnsupportedError

_STRIPPED = "<bos>"
_PLAIN_PARSER = "passthrough"
"""The PARSER that adds no capability to a model; every other parser of Ollama supports tools."""

_ASKS_FOR_PARTS = re.compile(r"""\.type\b|[\[(]\s*['"]type['"]""")
"""A chat template that matches reads a message as a list of parts, which llama.cpp makes of its text."""

_DATES = {"date_string": "%d %b %Y", "datetime": "%b %d %Y"}
"""The values that llama.cpp gives to every chat template, and how it writes today's date in them."""


@dataclass(frozen=True, slots=True)
class SentPrompt:
    """How a model in Ollama gets its prompts.

    Attributes:
        source: the templates and settings of the model that decide who makes the prompt.
        sender: who makes the prompt.
        tokens: the special tokens of the GGUF by the names that chat templates know them by, ``bos_token``.
        adds_bos: whether the tokenizer of the GGUF puts the begin of text in front.
        system: the SYSTEM of the model, or an empty string.
        before: the MESSAGEs of the model.
    """

    source: PromptSource
    sender: Sender
    tokens: ChatTemplate
    adds_bos: bool = False
    system: str = ""
    before: Sequence[Turn] = ()

    def given(self, conversation: Conversation) -> Conversation:
        """Return a conversation with the SYSTEM and the MESSAGEs of the model, as the daemon puts them."""
        messages = [*self.before, *conversation.messages]
        if self.system and conversation.messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        return replace(conversation, messages=messages)

    def fill(self, conversation: Conversation, renderer: ChatRenderer) -> str:
        """Return what the model gets for a conversation, with the begin of text as text.

        Args:
            conversation: what a user sends; the SYSTEM and the MESSAGEs of the model are put in front.
            renderer: the process that fills the chat template of the GGUF.

        Raises:
            ConversationRefusedError: the chat template does not take the conversation.
            InputError: Ollama would fail too.
            UnsupportedError: a renderer of Ollama makes it, or the TEMPLATE uses something unsupported.
        """
        if self.sender is Sender.JINJA:
            return self.received(self._by_jinja(self.given(conversation), renderer))
        if self.sender is Sender.RENDERER:
            name = self.source.renderer or "harmony"
            raise UnsupportedError(
                f"The prompt is not computed: Ollama's own renderer {name} makes it.",
                hint="ollama-pack prompt MODEL --against daemon  asks a daemon that has the model",
                code="own-renderer",
            )
        from ollama_pack.chat.go_capabilities import go_capabilities
        from ollama_pack.chat.go_prompt import read_go_prompt

        prompt = read_go_prompt(DEFAULT_GO_TEMPLATE if self.source.template is None else self.source.template)
        able = go_capabilities(prompt)
        if self.source.parser in ("", _PLAIN_PARSER):
            _require_tools(conversation, able)
        think = True if "thinking" in able else None
        messages = self.given(conversation).messages
        return self.received(
            prompt.fill(messages, renderer.now.date(), tools=conversation.tools, think=think)
        )

    def received(self, text: str) -> str:
        """Return what the model gets for a prompt, with the begin of text that its tokenizer adds.

        Args:
            text: what Ollama renders.
        """
        if not self.adds_bos:
            return text
        bos = self.tokens.special.get("bos_token", "")
        return bos + text.removeprefix(_STRIPPED if self.sender is Sender.GO else bos)

    def _by_jinja(self, conversation: Conversation, renderer: ChatRenderer) -> str:
        """Return what the chat template of the GGUF makes with the values that Ollama passes."""
        jinja = self.source.jinja
        if not jinja:
            raise UnsupportedError(
                "The prompt cannot be computed: the model has neither a TEMPLATE nor a chat template."
            )
        able = jinja_capabilities(jinja)
        _require_tools(conversation, able)
        thinks = "thinking" in able or "enable_thinking" in jinja
        settings = {
            "enable_thinking": thinks,
            **{name: renderer.now.strftime(f) for name, f in _DATES.items()},
        }
        template = replace(self.tokens, text=jinja)
        text = renderer.render(template, conversation, by_llama_cpp=True, **settings)
        asked = str(conversation.messages[-1].get("content") or "").strip()
        if asked not in text and _ASKS_FOR_PARTS.search(jinja):
            raise UnsupportedError(
                "The prompt cannot be computed: the chat template of the GGUF takes the parts of a message "
                "as a list, and not its text."
            )
        return text


def _require_tools(conversation: Conversation, able: Collection[str]) -> None:
    """Require that Ollama gives the tools of a conversation to the model, which it decides by `able`."""
    if conversation.tools and "tools" not in able:
        raise InputError("Ollama gives this model no tools, because its template does not mention them.")


def sent_prompt(
    source: PromptSource,
    version: tuple[int, int, int] | None,
    tokens: ChatTemplate,
    *,
    adds_bos: bool = False,
    go_template: bool | None = None,
) -> SentPrompt:
    """Return how a model gets its prompts from a release of Ollama.

    Args:
        source: the templates and settings of the model.
        version: the release; None for the latest.
        tokens: the special tokens of the GGUF.
        adds_bos: whether its tokenizer puts the begin of text in front.
        go_template: the result of `read_go_template`.

    Raises:
        InputError: the TEMPLATE is damaged.
        UnsupportedError: the TEMPLATE uses something that is not supported, or needs a later release.
    """
    from ollama_pack.chat.derive import release_needed

    sender = who_renders(source, version, go_template=go_template)
    needed = release_needed(source.template or "", version)
    if sender is Sender.GO and needed:
        raise UnsupportedError(f"The prompt cannot be computed: the TEMPLATE needs Ollama {needed} or later.")
    return SentPrompt(source, sender, tokens, adds_bos)
