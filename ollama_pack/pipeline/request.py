"""What a user asks for, decided at the door: from the command line, or from Python."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.errors import InputError
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.pipeline.naming import name_from_directories

if TYPE_CHECKING:
    from ollama_pack.ollama.locations import OllamaLocations


VIA_CHOICES = ("auto", "create", "pull", "store", "folder")
LARGEST_WEIGHT = 1e9
"""The largest size of a weight or scale; what it is multiplied with stays in float32."""

ACCEPTABLE_MISMATCHES = (
    *("blocks", "hidden", "heads", "kv-heads", "feed-forward", "fewer-blocks", "tokens", "vocabulary"),
    *("added-tokens", "bos", "eos", "pad", "rope-base", "context", "relative", "untold"),
)
"""Codes of what may be taken of a base; the proof of the base says what each means."""

OUTTYPES = ("f16", "f32", "bf16", "q8_0", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for. Only the directory is needed.

    Attributes:
        directory: the adapter directory.
        others: directories of further adapters, to be summed with the first.
        weights: what each adapter is multiplied with, as many as there are adapters; empty: 1 each.
        scale: what all of it is multiplied with.
        adapter: which of several adapters in a directory; the one at its top where empty.
        allow_noop: take an adapter that changes nothing.
        load: have the daemon load what it was given.
        merge: bake the adapter into its base.
        name: of the model; from the directory where empty.
        base: an Ollama model, a Hugging Face id or a GGUF file; from Modelfile.txt, else from
            adapter_config.json where empty.
        via: how it gets in: ``auto``, ``create``, ``pull``, ``store`` or ``folder``.
        template: a template's name or file; the author's Modelfile.txt, else ``inherit``, where empty.
        system: the system prompt; the author's, else the base's where empty.
        parameters: key and value of PARAMETERs to set.
        outtype: ``f16``, ``f32``, ``bf16``, ``q8_0`` or ``auto``.
        out: where GGUF and Modelfile.txt go; where None the adapter's own directory, for a sum of
            several one beside the first, called like the model.
        store: the Ollama model store; OLLAMA_MODELS, else the user's where None.
        strict: whether a base that may not be the one that was trained on is refused.
        base_mismatch_ok: codes of disagreements with the base that are taken.
        online: whether Hugging Face or Ollama's registry may be asked about a base.
    """

    directory: Path
    others: tuple[Path, ...] = ()
    weights: tuple[float, ...] = ()
    scale: float = 1.0
    adapter: str = ""
    allow_noop: bool = False
    load: bool = True
    merge: bool = False
    name: str = ""
    base: str = ""
    via: str = "auto"
    template: str = ""
    system: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    outtype: str = "f16"
    out: Path | None = None
    store: Path | None = None
    strict: bool = False
    base_mismatch_ok: tuple[str, ...] = ()
    online: bool = False

    def __post_init__(self) -> None:
        """Take paths as text too, and know the ways in by name.

        Raises:
            InputError: there is no such way, or no such type, or weights that are none.
        """
        object.__setattr__(self, "others", tuple(Path(other) for other in self.others))
        if self.weights and len(self.weights) != 1 + len(self.others):
            raise InputError(f"{len(self.weights)} weights for {1 + len(self.others)} adapters.")
        for number in (self.scale, *self.weights):
            if not abs(number) <= LARGEST_WEIGHT:
                raise InputError(f"{number:g} is no weight; {LARGEST_WEIGHT:g} is the most, either way.")
        if not self.allow_noop and not any(weight * self.scale for weight in self.weights or (1.0,)):
            raise InputError(
                "A scale of 0 makes an adapter that does nothing.", hint="--allow-noop, if meant"
            )
        for name in ("directory", "out", "store"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        choices: list[tuple[str, tuple[str, ...]]] = [(self.via, VIA_CHOICES), (self.outtype, OUTTYPES)]
        choices += [(code, ACCEPTABLE_MISMATCHES) for code in self.base_mismatch_ok]
        for value, known in choices:
            if value not in known:
                raise InputError(f"{value!r} is none of {', '.join(known)}.")

    @property
    def directories(self) -> tuple[Path, ...]:
        """Return the directories of all adapters."""
        return (self.directory, *self.others)

    @property
    def home(self) -> Path:
        """Return where the files of the first adapter lie: its directory, or one below."""
        from ollama_pack.lora.peft.directory import adapter_home

        return adapter_home(self.directory, self.adapter)

    @property
    def folder(self) -> Path:
        """Return where the files go."""
        if self.out is not None:
            return self.out
        if self.others:
            name = name_from_directories(self.directories, self.adapter)
            return self.directory.absolute().parent / name.model
        return self.home

    @property
    def places(self) -> "OllamaLocations":
        """Return where the model may be put: what the environment says, unless the store is named."""
        from ollama_pack.ollama.locations import locations_from

        return locations_from(os.environ, self.folder, self.store)

    @property
    def model(self) -> ModelName:
        """Return what the model will be called.

        Raises:
            InputError: Ollama would refuse the name.
        """
        return parse_name(self.name) if self.name else name_from_directories(self.directories, self.adapter)
