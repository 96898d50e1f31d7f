"""Proves the prompt with a daemon: what it renders is what the tokenizer's chat template makes.

If no chat template is known, what the daemon renders is compared with what is computed from the TEMPLATE.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate, Conversation, Turn
from ollama_pack.verify.result import ProofResult

Render = Callable[[Sequence[Turn]], str | None]
"""Function that returns what the daemon renders of messages, or None if the daemon does not report it."""


def prove_rendered(
    trained: ChatTemplate | None, sent: SentPrompt, renderer: ChatRenderer, ask: Mapping[str, Render]
) -> ProofResult | None:
    """Compare what a daemon renders with the prompts in training; return None if it does not report it.

    Args:
        trained: the chat template of the adapter's tokenizer; None to compare with what is computed from the
            TEMPLATE.
        sent: how the model gets its prompts; with a chat template, only what is added in front is used of it.
        renderer: the process that fills the chat template.
        ask: name of an interface of the daemon → function that asks it; after an interface that does not
            report, no other is asked.

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
    """Return for each conversation whether a daemon renders it as wanted; empty if it does not report it."""
    equal = []
    for conversation, text in wanted:
        got = ask(conversation.messages)
        if got is None:
            return []
        equal.append(sent.received(got) == text)
    return equal
