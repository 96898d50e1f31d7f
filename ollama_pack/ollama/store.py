"""Reads a model from an Ollama store: its layers, its configuration, and how its name is spelled there."""

import json
from collections.abc import Iterable
from pathlib import Path

from ollama_pack.errors import DestinationError
from ollama_pack.files import read_small
from ollama_pack.ollama.manifest import PARAMS_TYPE, BaseImage, Layer, inherited, parse_manifest
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import (
    blob_path,
    gguf_manifest,
    manifest_path,
    missing_blob,
    names_in,
    read_manifest,
)


def image_in_store(store: Path, tag: str) -> BaseImage:
    """Return the layers and the configuration of a model in `store`.

    Raises:
        DestinationError: the model or one of its blobs is not there, or damaged.
    """
    name = spelled_as_in(names_in(store), parse_name(tag))
    hint = f"ollama pull {tag}"
    content = read_manifest(store, name)
    if content is None:
        raise DestinationError(f"The base {tag} is not in this store.", where=store, hint=hint)
    config, layers = parse_manifest(gguf_manifest(store, content), where=manifest_path(store, name))
    for layer in layers:
        if missing_blob(store, layer):
            raise DestinationError(
                f"The base {tag} is incomplete.", where=blob_path(store, layer.digest), hint=hint
            )
    return BaseImage(
        tuple(inherited(layer, name.display, _content(store, layer)) for layer in layers),
        _read_config(store, config),
    )


def spelled_as_in(existing: Iterable[tuple[str, ...]], name: ModelName) -> ModelName:
    """Return `name` in the spelling that is there already.

    Ollama ignores case when it compares names and takes each part in the spelling of *any* model it has. A
    part spelled in two ways would be found by luck only, so an existing spelling is taken over.
    """
    parts = list(name.parts)
    spellings = list(existing)
    for position, part in enumerate(parts):
        alike = [names[position] for names in spellings if names[position].lower() == part.lower()]
        if alike and part not in alike:
            parts[position] = alike[0]
    return ModelName(*parts)


def _content(store: Path, layer: Layer) -> bytes | None:
    if layer.media_type != PARAMS_TYPE:
        return None
    path = blob_path(store, layer.digest)
    try:
        content = read_small(path)
        if not isinstance(json.loads(content), dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise DestinationError("The base's parameters cannot be read.", where=path) from error
    return content


def _read_config(store: Path, layer: Layer) -> dict[str, object]:
    path = blob_path(store, layer.digest)
    try:
        config = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DestinationError("The base's configuration cannot be read.", where=path) from error
    if not isinstance(config, dict):
        raise DestinationError("The base's configuration cannot be read.", where=path)
    return config
