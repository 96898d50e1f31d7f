"""What a model is asked and what it answers, the same for every program that runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Hear = Callable[[str], object]
"""Function that is called with each piece of an answer as soon as it is there."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The files of a model.

    Attributes:
        base: the GGUF file of the base, or of a merged model.
        adapters: GGUF LoRA files for it.
        context: the number of tokens that a prompt and its answer may have.
    """

    base: Path
    adapters: tuple[Path, ...] = ()
    context: int = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and how it is answered.

    Attributes:
        prompt: the text that the model gets, with its special tokens, and the begin of text if it has one.
        adapter: the index of the adapter to apply, among those of the model; None for the base alone.
        options: PARAMETERs by the names that Ollama has for them.
    """

    prompt: str
    adapter: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        text: the answer.
        tokens: its number of tokens.
        ended: whether it ended by itself or at a stop sequence; otherwise it was cut off.
        seconds: how long it took, in seconds.
    """

    text: str
    tokens: int
    ended: bool
    seconds: float = 0.0


class Runner(Protocol):
    """What runs a model: llama.cpp in a process of its own, or a daemon.

    Attributes:
        name: the name of the program, with its version.
    """

    name: str

    def say(self, asked: Asked, hear: Hear = ...) -> Said:
        """Return the answer to a prompt, whose pieces `hear` gets as soon as they are there."""


def unheard(_piece: str) -> None:
    """Ignore a piece of an answer."""
