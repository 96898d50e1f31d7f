"""The chat template that a model was trained with, and a conversation it is filled with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Turn: TypeAlias = Mapping[str, Any]
"""A message as chat templates take it: ``role``, ``content``, and for some messages more keys."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """The chat template of a tokenizer.

    Attributes:
        text: the template, written in Jinja.
        special: the special tokens by the names that templates know them by, ``bos_token``.
        origin: the file that it was read from.
        others: the names of other templates of the same tokenizer.
    """

    text: str
    special: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation that a chat template is filled with.

    Attributes:
        name: what is special about it, ``odd white space``.
        messages: the messages, from the first to the one that is to be answered.
        tools: the tools that the model may call, in the form of the OpenAI interface.
    """

    name: str
    messages: Sequence[Turn]
    tools: Sequence[Mapping[str, Any]] | None = None
