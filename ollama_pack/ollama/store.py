"""Reads the layers and the configuration of a model from an Ollama store."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from ollama_pack.disk.files import read_small
from ollama_pack.errors import DestinationError
from ollama_pack.formats.untrusted_json import parse_object
from ollama_pack.ollama.manifest import PARAMS_TYPE, BaseImage, Image, Layer, inherited, parse_manifest
from ollama_pack.ollama.names import ModelName, ascii_lower, parse_name
from ollama_pack.ollama.store_layout import (
    blob_path,
    gguf_manifest,
    manifest_path,
    missing_blob,
    names_in,
    read_manifest,
)


def image_in_store(store: Path, tag: str) -> BaseImage:
    """Return the layers and the configuration of the model `tag` in `store`.

    Raises:
        DestinationError: the model or one of its blobs is missing or damaged.
    """
    name = spelled_as_in(names_in(store), parse_name(tag))
    hint = f"ollama pull {shlex.quote(tag)}"
    content = read_manifest(store, name)
    if content is None:
        raise DestinationError(
            f"The base {tag} is not in this store.", where=store, hint=hint, code="base-not-here"
        )
    config, layers = parse_manifest(
        gguf_manifest(store, content), where=manifest_path(store, name), hint=f"{hint}, which writes it again"
    )
    for layer in layers:
        if missing_blob(store, layer):
            raise DestinationError(
                f"A blob of the base {tag} is missing or incomplete.",
                where=blob_path(store, layer.digest),
                hint=hint,
            )
    return BaseImage(
        tuple(inherited(layer, name.display, _content(store, layer)) for layer in layers),
        _read_config(store, config),
    )


def stored_image(store: Path, name: ModelName) -> Image:
    """Return a model as a store has it: the very bytes of its manifest, and the files of its blobs.

    Raises:
        DestinationError: the model or one of its blobs is missing or damaged.
    """
    name = spelled_as_in(names_in(store), name)
    content = gguf_manifest(store, read_manifest(store, name) or b"")
    config, layers = parse_manifest(content, where=manifest_path(store, name))
    for layer in (config, *layers):
        if why := missing_blob(store, layer):
            raise DestinationError(
                f"{name} is damaged: {why}.",
                where=blob_path(store, layer.digest),
                hint=f"ollama pull {shlex.quote(str(name))}",
            )
    first, *others = (each._replace(file=blob_path(store, each.digest)) for each in (config, *layers))
    return Image(tuple(others), first, content)


def spelled_as_in(existing: Iterable[tuple[str, ...]], name: ModelName) -> ModelName:
    """Return `name` with each part spelled as in an existing name, if one has the same part in another case.

    Ollama ignores case, and spells each part of a name as *any* of its models does (``server/routes.go``). If
    two models spelled a part in different ways, Ollama would not always find both.
    """
    parts = list(name.parts)
    spellings = list(existing)
    for position, part in enumerate(parts):
        known = [names[position] for names in spellings if ascii_lower(names[position]) == ascii_lower(part)]
        if known and part not in known:
            parts[position] = known[0]
    return ModelName(*parts)


def _content(store: Path, layer: Layer) -> bytes | None:
    """Return the content of a parameters layer, or None for another layer.

    Raises:
        DestinationError: the parameters cannot be read, or are not a JSON object.
    """
    if layer.media_type != PARAMS_TYPE:
        return None
    path = blob_path(store, layer.digest)
    try:
        content = read_small(path)
        parse_object(content)
    except (OSError, ValueError) as error:
        raise DestinationError("The parameters of the base cannot be read.", where=path) from error
    return content


def _read_config(store: Path, layer: Layer) -> dict[str, object]:
    """Return the configuration of the base.

    Raises:
        DestinationError: the configuration cannot be read, or is not a JSON object.
    """
    path = blob_path(store, layer.digest)
    try:
        return parse_object(read_small(path))
    except (OSError, ValueError) as error:
        raise DestinationError("The configuration of the base cannot be read.", where=path) from error
