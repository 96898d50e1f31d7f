"""The noun every destination takes: a model, ready to be put somewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.agreement import Trained
from ollama_pack.names import ModelName
from ollama_pack.parts import Base, LoraFile

REPLACED = "replaced the model of that name that was there"
UNCHANGED = "unchanged: it was there already, the very same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A model ready to be put somewhere. What is left empty is inherited from the base.

    Attributes:
        name: what the model will be called.
        adapter: the GGUF LoRA file.
        base: what it goes on: ``base.gguf`` where set, else the Ollama model ``base.tag``.
        template: Ollama's Go template for prompts.
        system: the system prompt.
        parameters: laid over the base's, key by key.
        messages: ``{"role": …, "content": …}``; they replace the base's.
        licenses: added to the base's.
        renderer: name of one of Ollama's built-in prompt renderers.
        parser: name of one of Ollama's built-in answer parsers.
        requires: the least version of Ollama, without ``v``.
        modelfile_text: the Modelfile that says the same, for the folder.
        trained: what is known of the base that the adapter was trained on.
    """

    name: ModelName
    adapter: LoraFile
    base: Base
    template: str = ""
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()
    licenses: tuple[str, ...] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    modelfile_text: str = ""
    trained: Trained = field(default_factory=Trained)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a destination would do.

    Attributes:
        via: which destination.
        name: the model, as a user would type it.
        where: the place, in the user's words.
        items: what would be moved or written, and its bytes; what is there already counts 0.
        replaces: whether a model of that name is there.
        reason: why this destination, where it was chosen.
    """

    via: str
    name: str
    where: str
    items: tuple[tuple[str, int], ...]
    replaces: bool
    reason: str = ""

    @property
    def total(self) -> int:
        """Return the bytes that would be moved or written."""
        return sum(size for _, size in self.items)


def replaced(before: str, after: str) -> list[str]:
    """Return what to tell the user of a name that had the digest `before`, empty where nothing had it."""
    return [] if not before else [UNCHANGED] if before == after else [REPLACED]
