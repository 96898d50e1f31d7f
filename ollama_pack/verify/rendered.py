"""Proves the prompt by the daemon's own word: what it renders is what the tokenizer's chat template makes."""

from collections.abc import Callable, Sequence

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate, Turn
from ollama_pack.verify.result import ProofResult

Render = Callable[[Sequence[Turn]], str | None]
"""Returns what the daemon renders of messages, or None if it does not say."""


def prove_rendered(
    trained: ChatTemplate, sent: SentPrompt, renderer: ChatRenderer, ask: Render
) -> ProofResult | None:
    """Compare what a daemon renders with what a model was trained with; return None if it does not say.

    Args:
        trained: the chat template of the adapter's tokenizer.
        sent: how the model gets its prompts; what it computes is not used, only what is added in front.
        renderer: what fills the chat template.
        ask: asks the daemon.

    Raises:
        DestinationError: the daemon does not answer.
        InputError: the chat template is damaged.
    """
    compared: list[tuple[str, bool]] = []
    for conversation in PLAIN_CONVERSATIONS:
        try:
            wanted = renderer.render(trained, sent.given(conversation))
        except ConversationRefusedError:
            continue
        got = ask(conversation.messages)
        if got is None:
            return None
        compared.append((conversation.name, sent.received(got) == wanted))
    different = [name for name, is_equal in compared if not is_equal]
    equal = len(compared) - len(different)
    return ProofResult(
        proof="rendered",
        passed=bool(compared) and not different,
        figure=float(len(different)),
        limit=0.0,
        summary=f"the daemon renders {equal} of {len(compared)} conversations as they were trained",
        worst=different[0] if different else "",
    )
