"""The values that every delivery takes and returns: `Package`, `DeliveryPlan` and `Receipt`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import os_errors_as_destination_error
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile.editing import REMOVABLE
from ollama_pack.modelfile.parser import parameters
from ollama_pack.modelfile.syntax import Modelfile, print_modelfile
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import ModelName


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a delivery did.

    Attributes:
        via: the name of the delivery: ``create``, ``pull``, ``store`` or ``folder``.
        name: the name of the model, as a user would type it.
        digest: the digest of the manifest, 64 hexadecimal digits; empty if the delivery cannot know it.
        where: the daemon's address, the store or the folder.
        bytes_written: the number of bytes sent or written, without those that were already there.
        lines: the messages for the user, the most important one first.
        served: whether a running daemon lists the model.
        tried: the deliveries that ``auto`` tried before this one, each with the reason it failed.
        base_manifest: the digest of the base's manifest, 64 hexadecimal digits; empty if it is unknown.
        base_blob: the digest of the base's weights, ``sha256:…``; empty if it is unknown.

    Example:
        >>> from ollama_pack import Request, build
        >>> outcome = build(Request(directory="ada-lovelace-lora", base="smollm2:135m", via="folder"))
        >>> outcome.receipt.via, outcome.receipt.name
        ('folder', 'ada-lovelace')
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


REPLACED = "replaced the previous model of that name"
UNCHANGED = "already up to date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A model that is ready to be delivered. It inherits from its base whatever is left empty.

    Attributes:
        name: the name the model will have.
        adapter: the GGUF LoRA file, or None if the adapter is merged into the GGUF file of the base.
        base: the base model: the GGUF file ``base.gguf`` if it is set, else the Ollama model ``base.tag``.
        merged_from: the base as it was before an adapter was merged into it, or None if there is an adapter.
        template: the prompt template, in Go's syntax as Ollama reads it.
        system: the system prompt.
        removed: those of ``template`` and ``system`` that the model must not inherit from its base.
        parameters: the PARAMETERs; each replaces that of the base with the same key.
        messages: the MESSAGEs, ``{"role": …, "content": …}``; they replace those of the base.
        licenses: the licence texts; they are added to those of the base.
        renderer: the name of one of Ollama's built-in prompt renderers.
        parser: the name of one of Ollama's built-in answer parsers.
        requires: the lowest version of Ollama that runs the model, without ``v``.
        modelfile_text: the Modelfile with the same content, which the delivery ``folder`` writes.
        trained: what is known of the base that the adapter was trained on.
        base_check: what the check of a GGUF base found, or None if it has not been checked yet.
        planned_size: the size in bytes of a merged model that is not written yet, or 0 if it is written.
        staged_as: the name that the model has until it is proved, or None if it gets its own name at once.
        gate: proves the model before it takes its name, if a daemon has it; None if that proof is left out.
    """

    name: ModelName
    adapter: LoraFile | None
    base: BaseModel
    merged_from: BaseModel | None = None
    template: str = ""
    system: str = ""
    removed: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()
    licenses: tuple[str, ...] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    modelfile_text: str = ""
    trained: ExpectedBase = field(default_factory=ExpectedBase)
    base_check: tuple[str, ...] | None = None
    planned_size: int = 0
    staged_as: ModelName | None = None
    gate: "Gate | None" = field(default=None, compare=False)

    @property
    def file(self) -> Path:
        """Return the file that was made of the adapter: the GGUF LoRA file, or the merged model."""
        if self.adapter is not None:
            return self.adapter.path
        assert self.base.gguf is not None, "an adapter can only be merged into a file"
        return self.base.gguf

    @property
    def base_size(self) -> int:
        """Return the size in bytes of the GGUF file that the model is built from.

        Raises:
            DestinationError: the file cannot be read.
        """
        assert self.base.gguf is not None, "an installed base has no file of its own"
        with os_errors_as_destination_error(self.base.gguf):
            return self.planned_size or self.base.gguf.stat().st_size

    def adapter_header(self) -> GgufFile:
        """Return the header of the GGUF LoRA file; for a merged model, a header without tensors.

        Raises:
            InputError: the file is damaged.
        """
        if self.adapter is not None:
            return read_gguf(self.adapter.path)
        metadata = {
            "general.type": "adapter",
            "adapter.type": "lora",
            "general.architecture": self.base.hparams.arch,
        }
        return GgufFile(self.file, metadata, {}, {}, {})

    @property
    def place(self) -> ModelName:
        """Return the name under which a delivery puts the model: its own, or the one for its proof."""
        return self.staged_as or self.name

    def renamed(self, name: ModelName) -> "Package":
        """Return the package with another spelling of its name, and of its temporary name if it has one."""
        staged = self.staged_as
        return replace(self, name=name, staged_as=staged and replace(name, tag=staged.tag))


Gate: TypeAlias = Callable[[Package, Daemon], None]
"""Function that proves the model that a daemon has as ``package.place``, or raises `ProofError`."""


class DeliveryPlan(NamedTuple):
    """What a delivery would do.

    Attributes:
        via: the name of the delivery: ``create``, ``pull``, ``store`` or ``folder``.
        name: the name of the model, as a user would type it.
        where: the daemon's address, the store or the folder.
        items: what would be sent or written, each with its size in bytes; 0 for what is already there.
        replaces: whether a model of that name exists.
        reason: why ``auto`` chose this delivery; empty if the user chose it.
    """

    via: str
    name: str
    where: str
    items: tuple[tuple[str, int], ...]
    replaces: bool
    reason: str = ""

    @property
    def total(self) -> int:
        """Return the number of bytes that would be sent or written."""
        return sum(size for _, size in self.items)


def replaced_note(before: str, after: str) -> list[str]:
    """Return the message for a name that had the digest `before`; no message if the name is new."""
    return [] if not before else [UNCHANGED] if before == after else [REPLACED]


def make_package(
    name: ModelName,
    modelfile: Modelfile,
    lora: LoraFile | None,
    base: BaseModel,
    trained: ExpectedBase | None = None,
) -> Package:
    """Return the model that a Modelfile describes, ready to be delivered.

    Args:
        name: the name the model will have.
        modelfile: the Modelfile.
        lora: the file that its ADAPTER names, or None if FROM names a file with the adapter in it.
        base: the model or the file that its FROM names.
        trained: what is known of the base that the adapter was trained on.
    """
    return Package(
        name=name,
        adapter=lora,
        base=base,
        template=modelfile.value("TEMPLATE"),
        system=modelfile.value("SYSTEM"),
        removed=tuple(
            name.lower() for name in REMOVABLE if modelfile.values(name) and not modelfile.value(name)
        ),
        parameters=parameters(modelfile),
        messages=tuple({"role": role, "content": content} for role, content in modelfile.messages),
        licenses=modelfile.values("LICENSE"),
        renderer=modelfile.value("RENDERER"),
        parser=modelfile.value("PARSER"),
        requires=modelfile.value("REQUIRES").removeprefix("v"),
        modelfile_text=print_modelfile(modelfile),
        trained=trained or ExpectedBase(),
    )
