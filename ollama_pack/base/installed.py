"""An installed model as the base proof sees it: through the daemon, or from its header in a store."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ollama_pack.base.gguf_header import base_of_header
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import find_model, models_at, no_such_model
from ollama_pack.ollama.names import ModelName, parse_name


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is there.

    Attributes:
        seen: its base.
        digest: of its manifest, 64 hexadecimal digits.
        blob: ``sha256:…`` of its weights, empty where it is not told.
        place: the daemon's address, or the store.
        has_adapter: whether it has an adapter of its own.
    """

    seen: ModelInfo
    digest: str
    blob: str
    place: str
    has_adapter: bool


def look_up(places: OllamaLocations, name: ModelName) -> Installed:
    """Return a model of the daemon; of a store where no daemon answers.

    Raises:
        InputError: there is no such model, or its file is damaged.
        DestinationError: there is neither a daemon nor a store, or the model is damaged.
    """
    with models_at(places, name) as models:
        entry = find_model(models, name)
        if entry is None:
            raise no_such_model(models, name)
        blob = models.base_blob(entry.name)
        seen = models.see(entry.name)
        return Installed(seen, entry.digest, blob, models.place, models.has_adapter(entry.name))


def base_of_installed(places: OllamaLocations, text: str) -> BaseModel | None:
    """Return the base that an installed model is, to build FROM its name; None where none is installed.

    Raises:
        UnsupportedError: its heads differ by layer.
    """
    try:
        name = parse_name(text)
        found = look_up(places, name)
        header = GgufFile(Path(found.place), _kept(found.seen.metadata), found.seen.shapes, {}, {})
        return replace(base_of_header(header), tag=name.display, origin=f"{name.display} in {found.place}")
    except (InputError, DestinationError):
        return None


def _kept(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as a header has it: lists as tuples, and nothing that a daemon leaves out."""
    told = {key: value for key, value in metadata.items() if value is not None}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}


def installed_names(places: OllamaLocations) -> list[ModelName]:
    """Return the models that are there, none where there is neither a daemon nor a store."""
    with contextlib.suppress(DestinationError), models_at(places, ModelName("x", "x", "x", "x")) as models:
        return [entry.name for entry in models.entries()]
    return []
