"""Reads an installed Ollama model as a base, through the daemon or from its GGUF header in a store."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ollama_pack.base.gguf_header import base_of_header, read_base_gguf
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.gguf.constants import MERGED_ADAPTER
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.manifest import MODEL_TYPE
from ollama_pack.ollama.models import find_model, no_such_model
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store import image_in_store
from ollama_pack.ollama.store_layout import blob_path


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed Ollama model.

    Attributes:
        seen: the metadata, shapes and vocabulary of its weights.
        digest: the digest of its manifest, 64 hexadecimal digits.
        blob: the digest of its weights, ``sha256:…``; empty if it is unknown.
        place: the daemon's address, or the path of the store.
        has_adapter: whether the model has an adapter.
    """

    seen: ModelInfo
    digest: str
    blob: str
    place: str
    has_adapter: bool

    @property
    def is_merged(self) -> bool:
        """Return whether an adapter was merged into the weights of the model."""
        return MERGED_ADAPTER in self.seen.metadata


def look_up(locations: OllamaLocations, name: ModelName) -> Installed:
    """Return an installed model of the daemon, or of a store if no daemon answers.

    Args:
        locations: the daemon's address and the stores on this machine.
        name: the name of the model.

    Raises:
        InputError: there is no such model, or its GGUF file is damaged.
        DestinationError: there is neither a daemon nor a store, or the model is damaged.
    """
    with models_at(locations, name) as models:
        entry = find_model(models, name)
        if entry is None:
            raise no_such_model(models, name)
        blob = models.base_blob(entry.name)
        info = models.see(entry.name)
        return Installed(info, entry.digest, blob, models.place, models.has_adapter(entry.name))


def base_of_installed(locations: OllamaLocations, text: str) -> BaseModel | None:
    """Return an installed model as a base, or None if no such model is installed.

    Nothing is written, so a store of this machine is read too if the daemon that the user named is absent.

    Raises:
        UnsupportedError: no version of Ollama runs such a base any more.
    """
    try:
        name = parse_name(text)
        model = look_up(locations._replace(host_named=False), name)
        header = GgufFile(Path(model.place), _as_header(model.seen.metadata), model.seen.shapes, {}, {})
        return replace(base_of_header(header), tag=name.display, origin=f"{name.display} in {model.place}")
    except (InputError, DestinationError):
        return None


def base_with_file(locations: OllamaLocations, base: BaseModel) -> BaseModel:
    """Return a base with the file of its weights, if it is an Ollama model in a store that can be read here.

    A base that has a file, or that is in no such store, is returned as it is.

    Raises:
        InputError: the file is damaged.
        UnsupportedError: no version of Ollama runs such a base any more.
    """
    if base.gguf is not None or not base.tag:
        return base
    for store in locations.stores:
        with contextlib.suppress(DestinationError):
            layers = image_in_store(store, base.tag).layers
            blobs = [blob_path(store, layer.digest) for layer in layers if layer.media_type == MODEL_TYPE]
            if len(blobs) == 1:
                found = read_base_gguf(blobs[0], tag=base.tag)
                return replace(found, source_id=base.source_id, details=base.details, notes=base.notes)
    return base


def _as_header(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as a GGUF header has it: lists become tuples, and keys without a value are left out."""
    present = {key: value for key, value in metadata.items() if value is not None}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in present.items()}


def installed_names(locations: OllamaLocations) -> list[ModelName]:
    """Return the names of the installed models; an empty list if there is neither a daemon nor a store."""
    anywhere = locations._replace(host_named=False)
    with contextlib.suppress(DestinationError), models_at(anywhere, ModelName("x", "x", "x", "x")) as models:
        return [entry.name for entry in models.entries()]
    return []
