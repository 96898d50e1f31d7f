"""What `try` runs: models that answer side by side, and the prompt that they get for a conversation.

Nothing is built or registered for it: an adapter directory is converted into a temporary folder.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.stops import stop_of
from ollama_pack.chat.trained import ChatTemplate, Conversation, Turn
from ollama_pack.chat.who_renders import Sender
from ollama_pack.errors import InputError

SENT, TRAINED, RAW = "sent", "trained", "raw"
"""The prompt that Ollama sends, the one that the chat template of training makes, and the bare text."""

BASE_VOICE, ADAPTED_VOICE = "base", "adapted"

OLLAMA_DEFAULTS: Mapping[str, Any] = {
    "top_k": 40,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
}
"""The options that Ollama 0.33 sets if a model does not; llama.cpp has other defaults for some of them."""

CONTEXT = 4096
"""The number of tokens that a conversation may have if no ``num_ctx`` sets it, as in Ollama."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One of the models that answer side by side.

    Attributes:
        name: what it is called: ``base``, ``adapted``, the name of a checkpoint or of a model.
        model: the GGUF file of its base, or of itself if it is merged.
        adapter: its GGUF LoRA file, or None.
        activated: whether the adapter acts only after the tokens that invoke it.
        installed: its name in an Ollama; empty if it is in none.
    """

    name: str
    model: Path
    adapter: Path | None = None
    activated: bool = False
    installed: str = ""


@dataclass(frozen=True, slots=True)
class Prompts:
    """How a conversation becomes a prompt.

    Attributes:
        kind: ``sent``, ``trained`` or ``raw``.
        origin: who makes it, for people.
        sent: how Ollama makes it, if that is known.
        trained: the chat template of training, if there is one.
        system: the system message in front of a conversation, where `sent` does not say.
    """

    kind: str
    origin: str
    sent: SentPrompt | None = None
    trained: ChatTemplate | None = None
    system: str = ""

    def of(self, conversation: Conversation, renderer: ChatRenderer) -> str:
        """Return the prompt of a conversation, with the special tokens as text.

        Raises:
            InputError: the template does not take the conversation, or is damaged.
        """
        given = self.given(conversation)
        try:
            if self.kind == SENT and self.sent is not None:
                return self.sent.fill(conversation, renderer)
            if self.kind == TRAINED and self.trained is not None:
                return renderer.render(self.trained, given)
        except ConversationRefusedError as error:
            raise InputError(
                f"The chat template does not take the conversation: {error}.",
                where=conversation.name,
                code="conversation-refused",
            ) from error
        text = "\n".join(str(turn["content"]) for turn in given.messages)
        return self.sent.received(text) if self.sent is not None else text

    def given(self, conversation: Conversation) -> Conversation:
        """Return a conversation with the SYSTEM and the MESSAGEs of the model."""
        if self.sent is not None:
            return self.sent.given(conversation)
        if self.system and conversation.messages[0]["role"] != "system":
            first: Turn = {"role": "system", "content": self.system}
            return replace(conversation, messages=[first, *conversation.messages])
        return conversation


@dataclass(frozen=True, slots=True)
class Trial:
    """Models that answer side by side.

    Attributes:
        name: what is tried.
        voices: the models, the base first.
        prompts: how a conversation becomes a prompt.
        parameters: the PARAMETERs of the model, those of its base included.
        notes: what the user should know.
        ending: what ends an answer: what the chat template writes after it, else the end of text.
    """

    name: str
    voices: tuple[Voice, ...]
    prompts: Prompts
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ending: str = ""

    @property
    def context(self) -> int:
        """The number of tokens that a conversation may have."""
        return int(self.parameters.get("num_ctx") or CONTEXT)

    def options(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return the PARAMETERs of an answer; what is chosen counts more than what the model sets."""
        return {**OLLAMA_DEFAULTS, **self.parameters, **chosen}


def choose_prompts(
    wanted: str, sent: SentPrompt | None, why_not: str, trained: ChatTemplate | None, system: str = ""
) -> tuple[Prompts, tuple[str, ...]]:
    """Return how conversations become prompts, and what the user should know of it.

    Args:
        wanted: ``sent`` or ``trained``; if it cannot be made, the other one is used, and a note says so.
        sent: how Ollama makes the prompts, or None.
        why_not: why it is not known how Ollama makes them.
        trained: the chat template of training, or None.
        system: the system message of the model.
    """
    ways: list[tuple[str, str, str]] = []
    known = sent is not None and (
        sent.sender is Sender.GO or (sent.sender is Sender.JINJA and sent.source.jinja)
    )
    if sent is not None and sent.sender is Sender.RENDERER:
        why_not = f"{sent.sender.value} makes it"
    if sent is not None and known:
        ways.append((SENT, f"as Ollama sends it, by {sent.sender.value}", ""))
    if trained is not None:
        reason = f"what Ollama sends is not known: {why_not}" if why_not else ""
        ways.append((TRAINED, f"as trained, by {Path(trained.origin).name or 'its chat template'}", reason))
    ways.sort(key=lambda way: way[0] != wanted)
    none = "the model has no chat template, so it gets the bare text"
    kind, origin, reason = ways[0] if ways else (RAW, "the bare text", why_not or none)
    missing = wanted == TRAINED and trained is None
    notes = ("no chat template was saved with the adapter",) if missing and ways else ()
    return Prompts(kind, origin, sent, trained, system), tuple(
        note for note in (*notes, reason if kind != wanted else "") if note
    )


def ending_of(prompts: Prompts, tokens: Collection[str], renderer: ChatRenderer) -> str:
    """Return what ends an answer, or an empty string if the model has no chat template.

    Args:
        prompts: the prompts of the model.
        tokens: the tokens of its vocabulary.
        renderer: what fills chat templates.

    Raises:
        InputError: the chat template is damaged.
    """
    known = [prompts.trained, prompts.sent.tokens if prompts.sent is not None else None]
    if prompts.kind == SENT:
        known.reverse()
    template = next((each for each in known if each is not None and each.text), None)
    if template is None:
        return ""
    return stop_of(template, renderer, tokens) or template.special.get("eos_token", "")


def distinct_models(voices: Sequence[Voice]) -> Iterator[tuple[Path, tuple[Voice, ...]]]:
    """Yield each GGUF file once, with the voices that it has: they share its weights in memory."""
    for model in dict.fromkeys(voice.model for voice in voices):
        yield model, tuple(voice for voice in voices if voice.model == model)
