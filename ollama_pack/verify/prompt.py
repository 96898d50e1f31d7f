"""Proves the prompt: what Ollama will send is byte for byte what the tokenizer's chat template makes.

Both are compared on the plain conversations of `ollama_pack.chat.conversations`; the special ones are counted
apart, because no Ollama can send some of them as they were trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.errors import InputError
from ollama_pack.verify.result import ProofResult

_SHOWN_BEFORE, _SHOWN_AFTER = 24, 40
OF_TOKENIZER = "the tokenizer's chat template"


@dataclass(frozen=True, slots=True)
class ComparedPrompt:
    """One conversation as it was trained and as it will be sent.

    Attributes:
        name: the name of the conversation.
        trained: what the tokenizer's chat template makes; None if it does not take the conversation.
        sent: what the model will get; None if Ollama does not take the conversation.
    """

    name: str
    trained: str | None
    sent: str | None

    @property
    def is_defined(self) -> bool:
        """Whether the model was trained with conversations of this kind at all."""
        return self.trained is not None

    @property
    def is_equal(self) -> bool:
        """Whether both are there and the same."""
        return self.trained is not None and self.trained == self.sent

    @property
    def state(self) -> str:
        """Whether both are equal, in words."""
        if not self.is_defined:
            return "the chat template does not take it"
        if self.sent is None:
            return "Ollama does not take it"
        return "equal" if self.is_equal else "different"


@dataclass(frozen=True, slots=True)
class PromptComparison:
    """What the proof of the prompt found.

    Attributes:
        result: the proof; its figure is the number of plain conversations that differ.
        plain: the plain conversations.
        special: the special conversations, by what is special about them.
        difference: the first difference, three lines with a caret below both sides; empty if there is none.
    """

    result: ProofResult
    plain: Sequence[ComparedPrompt]
    special: Mapping[str, Sequence[ComparedPrompt]]
    difference: str


def prove_prompt(
    trained: ChatTemplate, sent: SentPrompt, renderer: ChatRenderer, name: str = OF_TOKENIZER
) -> PromptComparison:
    """Compare the prompts that a model was trained with and those that it will get.

    Args:
        trained: the chat template of the adapter's tokenizer.
        sent: how the model gets its prompts.
        renderer: what fills chat templates.
        name: what the chat template is called in the summary.

    Raises:
        InputError: the chat template of the tokenizer is damaged.
        UnsupportedError: what Ollama sends cannot be computed; the error says why.
    """
    plain = [compare_prompt(trained, sent, each, renderer) for each in PLAIN_CONVERSATIONS]
    special = {
        name: [_compared_if_taken(trained, sent, each, renderer) for each in some]
        for name, some in SPECIAL_CONVERSATIONS.items()
    }
    defined = [each for each in plain if each.is_defined]
    different = [each for each in defined if not each.is_equal]
    equal = len(defined) - len(different)
    refused = f" ({len(plain) - len(defined)} it does not take)" if len(defined) < len(plain) else ""
    result = ProofResult(
        proof="prompt",
        passed=bool(defined) and not different,
        figure=float(len(different)),
        limit=0.0,
        summary=f"{equal} of {len(defined)} conversations byte-equal with {name}{refused}",
        worst=different[0].name if different else "",
    )
    return PromptComparison(result, plain, special, show_difference(different[0]) if different else "")


def show_difference(compared: ComparedPrompt) -> str:
    """Return three lines: the text around the first byte that differs on both sides, and a caret below it.

    Example:
        >>> print(show_difference(ComparedPrompt("hello", "<s>[INST] Hi", "<s>[INST]Hi")))
        trained  '<s>[INST] Hi'
        sent     '<s>[INST]Hi'
                           ^
    """
    trained, sent = compared.trained or "", compared.sent
    if sent is None:
        return f"trained  {trained[:_SHOWN_AFTER]!r}\nsent     nothing: Ollama does not take the conversation"
    pairs = zip(trained, sent, strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(trained), len(sent)))
    start = max(0, at - _SHOWN_BEFORE)
    before = _shown_text(trained[start:at])
    sides = [before + _shown_text(text[at : at + _SHOWN_AFTER]) for text in (trained, sent)]
    mark = "…" if start else "'"
    lines = [f"{name:9}{mark}{side}'" for name, side in zip(("trained", "sent"), sides, strict=True)]
    return "\n".join([*lines, f"{'':9} {' ' * len(before)}^"])


def _shown_text(text: str) -> str:
    """Return a text with escapes for line ends and for what a terminal would interpret."""
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)


def compare_prompt(
    trained: ChatTemplate, sent: SentPrompt, conversation: Conversation, renderer: ChatRenderer
) -> ComparedPrompt:
    """Return one conversation as it was trained and as it is sent.

    Args:
        trained: the chat template of the adapter's tokenizer.
        sent: how the model gets its prompts.
        conversation: the messages of the user; the SYSTEM of the model is put in front on both sides.
        renderer: what fills chat templates.

    Raises:
        InputError: the chat template of the tokenizer is damaged.
        UnsupportedError: what Ollama sends cannot be computed.
    """
    given = sent.given(conversation)
    wanted: str | None = None
    got: str | None = None
    try:
        wanted = renderer.render(trained, given)
        got = sent.fill(conversation, renderer)
    except ConversationRefusedError:
        pass
    except InputError:
        if wanted is None:
            raise
    return ComparedPrompt(conversation.name, wanted, got)


def _compared_if_taken(
    trained: ChatTemplate, sent: SentPrompt, conversation: Conversation, renderer: ChatRenderer
) -> ComparedPrompt:
    """Return one special conversation; a template that fails on it, as some do on tools, defines nothing."""
    try:
        return compare_prompt(trained, sent, conversation, renderer)
    except InputError:
        return ComparedPrompt(conversation.name, None, None)
