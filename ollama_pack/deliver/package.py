"""The noun every destination takes: a model, ready to be put somewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.model import BaseModel
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile.parser import parameters
from ollama_pack.modelfile.syntax import Modelfile, print_modelfile
from ollama_pack.ollama.names import ModelName


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a destination did.

    Attributes:
        via: which destination.
        name: the model, as a user would type it.
        digest: of the manifest, empty where a destination cannot know it.
        where: the place, in the user's words.
        bytes_written: moved or written; what was there already does not count.
        lines: what to say to the user, most important first.
        served: whether a running daemon lists the model by now.
        tried: ways in that were tried before and are closed, and why.
        base_manifest: digest of the base's manifest, 64 hexadecimal digits; empty where unknown.
        base_blob: ``sha256:…`` of the base's weights, empty where unknown.
    """

    via: str
    name: str
    digest: str
    where: str
    bytes_written: int
    lines: tuple[str, ...] = ()
    served: bool = False
    tried: tuple[str, ...] = ()
    base_manifest: str = ""
    base_blob: str = ""


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
    base: BaseModel
    template: str = ""
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()
    licenses: tuple[str, ...] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    modelfile_text: str = ""
    trained: ExpectedBase = field(default_factory=ExpectedBase)


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
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


def replaced_note(before: str, after: str) -> list[str]:
    """Return what to tell the user of a name that had the digest `before`, empty where nothing had it."""
    return [] if not before else [UNCHANGED] if before == after else [REPLACED]


def make_package(
    name: ModelName, said: Modelfile, lora: LoraFile, base: BaseModel, trained: ExpectedBase | None = None
) -> Package:
    """Return the model a Modelfile describes, ready to be put somewhere.

    Args:
        name: what the model will be called.
        said: the Modelfile.
        lora: the file its ADAPTER names.
        base: what its FROM names.
        trained: what is known of the base that the adapter was trained on.
    """
    return Package(
        name=name,
        adapter=lora,
        base=base,
        template=said.value("TEMPLATE"),
        system=said.value("SYSTEM"),
        parameters=parameters(said),
        messages=tuple({"role": role, "content": content} for role, content in said.messages),
        licenses=said.values("LICENSE"),
        renderer=said.value("RENDERER"),
        parser=said.value("PARSER"),
        requires=said.value("REQUIRES").removeprefix("v"),
        modelfile_text=print_modelfile(said),
        trained=trained or ExpectedBase(),
    )
