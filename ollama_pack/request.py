"""What a user asks for, decided at the door: from the command line, or from Python."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.errors import InputError
from ollama_pack.names import ModelName, name_from_directory, parse_name

if TYPE_CHECKING:
    from ollama_pack.destinations.choose import Places

WAYS = ("auto", "create", "store", "folder")
OUTTYPES = ("f16", "f32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for. Only the directory is needed.

    Attributes:
        directory: the adapter directory.
        name: of the model; from the directory where empty.
        base: an Ollama model, a Hugging Face id or a GGUF file; from Modelfile.txt, else from
            adapter_config.json where empty.
        via: how it gets in: ``auto``, ``create``, ``store`` or ``folder``.
        template: a template's name or file; the author's Modelfile.txt, else ``inherit``, where empty.
        system: the system prompt; the author's, else the base's where empty.
        parameters: key and value of PARAMETERs to set.
        outtype: ``f16`` or ``f32``.
        out: where GGUF and Modelfile.txt go; the adapter directory where None.
        store: the Ollama model store; OLLAMA_MODELS, else the user's where None.
    """

    directory: Path
    name: str = ""
    base: str = ""
    via: str = "auto"
    template: str = ""
    system: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    outtype: str = "f16"
    out: Path | None = None
    store: Path | None = None

    def __post_init__(self) -> None:
        """Take paths as text too, and know the ways in by name.

        Raises:
            InputError: there is no such way, or no such type.
        """
        for name in ("directory", "out", "store"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        for value, known in ((self.via, WAYS), (self.outtype, OUTTYPES)):
            if value not in known:
                raise InputError(f"{value!r} is none of {', '.join(known)}.")

    @property
    def folder(self) -> Path:
        """Return where the files go."""
        return self.out or self.directory

    @property
    def places(self) -> "Places":
        """Return where the model may be put: what the environment says, unless the store is named."""
        from ollama_pack.destinations.choose import places_from

        places = places_from(os.environ, self.folder)
        return replace(places, stores=(self.store,), named=True) if self.store else places

    @property
    def model(self) -> ModelName:
        """Return what the model will be called.

        Raises:
            InputError: Ollama would refuse the name.
        """
        return parse_name(self.name) if self.name else name_from_directory(self.directory)
