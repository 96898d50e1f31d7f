"""Proves the prompt by the daemon's own word: what it renders is what the tokenizer's chat template makes.

Where no chat template is known, it is compared with what is computed of the model's own TEMPLATE.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate, Conversation, Turn
from ollama_pack.verify.result import ProofResult

Render = Callable[[Sequence[Turn]], str | None]
"""Returns what the daemon renders of messages, or None if it does not say."""


def prove_rendered(
    trained: ChatTemplate | None, sent: SentPrompt, renderer: ChatRenderer, ask: Mapping[str, Render]
) -> ProofResult | None:
    """Compare what a daemon renders with what a model was trained with; return None if it does not say.

    Args:
        trained: the chat template of the adapter's tokenizer; None for what is computed.
        sent: how the model gets its prompts; with a chat template, what it computes is not used, only what
            is added in front.
        renderer: what fills the chat template.
        ask: the interfaces of the daemon by their names, and what asks each; after one that does not say,
            no other is asked.

    Raises:
        DestinationError: the daemon does not answer.
        InputError: the chat template is damaged.
        UnsupportedError: what Ollama sends cannot be computed.
    """
    wanted = list(_taken(trained, sent, renderer))
    told: dict[str, list[bool]] = {}
    for name, render in ask.items():
        found = _told(wanted, sent, render)
        if not found:
            break
        told[name] = found
    if not told:
        return None
    different = [
        f"{conversation.name}, by {name}"
        for at, (conversation, _) in enumerate(wanted)
        for name, equal in told.items()
        if not equal[at]
    ]
    equal = sum(map(all, zip(*told.values(), strict=True)))
    made = "were computed" if trained is None else "were trained"
    words = f"the daemon renders {equal} of {len(wanted)} conversations as they {made}"
    return ProofResult(
        proof="rendered",
        passed=bool(wanted) and not different,
        figure=float(len(wanted) - equal),
        limit=0.0,
        summary=f"{words}, by {' and by '.join(told)}",
        worst=different[0] if different else "",
    )


def _taken(
    trained: ChatTemplate | None, sent: SentPrompt, renderer: ChatRenderer
) -> Iterator[tuple[Conversation, str]]:
    """Yield the conversations that a template takes, with what it makes of them."""
    for conversation in PLAIN_CONVERSATIONS:
        given = sent.given(conversation)
        with contextlib.suppress(ConversationRefusedError):
            made = renderer.render(trained, given) if trained else sent.fill(conversation, renderer)
            yield conversation, made


def _told(wanted: Sequence[tuple[Conversation, str]], sent: SentPrompt, ask: Render) -> list[bool]:
    """Return for each conversation whether a daemon renders it as wanted; nothing if it does not say."""
    equal = []
    for conversation, text in wanted:
        got = ask(conversation.messages)
        if got is None:
            return []
        equal.append(sent.received(got) == text)
    return equal
