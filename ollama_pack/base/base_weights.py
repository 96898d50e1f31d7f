"""Tells how large the weights of a base are, as its header, a store or a daemon says; no weight is read."""

import contextlib
from collections.abc import Mapping

from ollama_pack.base.model import BaseModel, BaseWeights
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.gguf.ggml_types import NAMES, size_of_tensors
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.split import COUNT
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import DaemonModels, StoreModels
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import blob_path

_KIND_OF_NAME: Mapping[str, int] = {name: kind for kind, name in NAMES.items()}


def weights_of(base: BaseModel, locations: OllamaLocations) -> BaseWeights | None:
    """Return how large the weights of a base are, or None if nothing here tells it.

    Args:
        base: a file, an Ollama model that may be installed, or a model whose sizes a registry has given.
        locations: the daemon and the stores that may have it.
    """
    if base.gguf is not None or base.weights is not None or not base.tag:
        return _weights_of_file(base) if base.gguf is not None else base.weights
    name = parse_name(base.tag)
    with (
        contextlib.suppress(DestinationError, InputError),  # whatever needs the base says so
        models_at(locations._replace(host_named=False), name) as models,
    ):
        if isinstance(models, DaemonModels):
            return _weights_in_daemon(models.daemon, name)
        if isinstance(models, StoreModels) and (blob := models.base_blob(name)):
            path = blob_path(models.store, blob)
            header = read_gguf(path)
            return BaseWeights(path.stat().st_size, header.shapes, header.types)
    return None


def _weights_of_file(base: BaseModel) -> BaseWeights | None:
    """Return how large a GGUF file is, with all of its parts, or None if it cannot be read."""
    if base.gguf is None or base.info is None:
        return None
    try:
        size = base.gguf.stat().st_size
    except OSError:  # whatever reads it next says so
        return None
    if base.info.metadata.get(COUNT, 1) != 1:
        size = size_of_tensors(base.info.shapes, base.info.types)
    return BaseWeights(size, base.info.shapes, base.info.types)


def _weights_in_daemon(daemon: Daemon, name: ModelName) -> BaseWeights | None:
    """Return how large a daemon's model is, or None if the daemon does not show its tensors.

    It is the listed size, unless that includes a projector. Daemons before 0.5 do not show the tensors.
    """
    wanted = name.display.lower()
    listed = next((each for each in daemon.models() if each.name.lower() == wanted), None)
    shown = daemon.show(name.display) if listed is not None else None
    if listed is None or shown is None or not shown.types:
        return None
    types = {tensor: _KIND_OF_NAME[kind] for tensor, kind in shown.types.items() if kind in _KIND_OF_NAME}
    alone = shown.modelfile.count("\nFROM ") + shown.modelfile.startswith("FROM ") == 1
    size = listed.size if alone and listed.size else size_of_tensors(shown.shapes, types)
    return BaseWeights(size, shown.shapes, types)
