"""How likely a model finds given answers: the loss per token of the assistant, and the perplexity.

A turn is the text of the assistant and what ends it. Its prompt is what the model gets for the
messages before.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ollama_pack.chat.trained import Conversation
from ollama_pack.errors import InputError
from ollama_pack.pipeline.trial.answering import Answering
from ollama_pack.pipeline.trial.trial import Voice


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a model finds the answers of conversations.

    Attributes:
        voice: the model.
        tokens: the number of tokens of the answers.
        loss: the mean of minus the logarithm of the probability of each token.
    """

    voice: str
    tokens: int
    loss: float

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return math.exp(min(self.loss, 700.0))


def measure_likelihood(
    answering: Answering, voice: Voice, conversations: Sequence[Conversation]
) -> Likelihood:
    """Return how likely a model finds all answers of the assistant in conversations.

    Args:
        answering: the models.
        voice: the one that is asked.
        conversations: the conversations.

    Raises:
        InputError: no conversation has an answer, the template does not take one, or one is too long.
        UsageError: a daemon runs the model.
        DestinationError: llama.cpp ended.
    """
    end = answering.trial.ending
    numbers: list[float] = []
    for conversation in conversations:
        for before, answer in turns_of(conversation):
            prompt = answering.trial.prompts.of(before, answering.renderer)
            numbers += answering.likelihoods(voice, prompt, f"{answer}{end}")
    if not numbers:
        raise InputError("No conversation has an answer of the assistant.", where=conversations[0].name)
    return Likelihood(voice.name, len(numbers), -math.fsum(numbers) / len(numbers))


def turns_of(conversation: Conversation) -> Iterator[tuple[Conversation, str]]:
    """Yield the messages before each answer of the assistant, and the answer."""
    for at, turn in enumerate(conversation.messages):
        if at and turn["role"] == "assistant" and isinstance(turn.get("content"), str):
            yield replace(conversation, messages=conversation.messages[:at]), turn["content"]
