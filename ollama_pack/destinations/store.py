"""A model straight into an Ollama store: no daemon needed, and a running one sees it at once.

The daemon reads its manifests anew on every request, so a model exists the moment its manifest does. Both
layouts that Ollama has had are read and written; `ollama_pack.destinations.manifests` knows them.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ollama_pack.destinations.base_model import look_at_file
from ollama_pack.destinations.layers import (
    CONFIG_TYPE,
    MODEL_TYPE,
    PARAMS_TYPE,
    BaseImage,
    Image,
    build_image,
    has_adapter,
    image_of_gguf,
    inherited,
    parse_manifest,
    stacked,
)
from ollama_pack.destinations.manifests import (
    gguf_manifest,
    has_manifest,
    listed_digest,
    names_in,
    read_manifest,
    why_lost,
)
from ollama_pack.destinations.package import Package, Plan, replaced
from ollama_pack.destinations.shelf import Shelf
from ollama_pack.errors import DestinationError
from ollama_pack.files import digest_of, read_small
from ollama_pack.names import ModelName, blob_path, manifest_path, parse_name
from ollama_pack.parts import Base, Layer, Progress, Receipt

VIA = "store"
_UNKNOWN_DIGEST = "sha256:" + "0" * 64


def put(package: Package, store: Path, progress: Progress | None = None) -> Receipt:
    """Write `package` into `store`, blobs first and the manifest last; a model of that name is replaced.

    Raises:
        DestinationError: the base is not there, or the store cannot be written; then nothing was registered.
        UnsupportedError: the base cannot take an adapter.
        InputError: the adapter does not fit it.
    """
    package, base = _settled(package, store, progress)
    image = build_image(package, base)
    told = _look(package, base, store)
    before = read_manifest(store, package.name)
    with Shelf(store, progress) as shelf:
        for layer in (*image.layers, image.config):
            if layer.media_type != MODEL_TYPE:
                shelf.add(layer)
        for layer in image.layers:
            if layer.media_type == MODEL_TYPE:
                shelf.adopt(layer)
        shelf.publish(package.name, image.manifest, (*image.layers, image.config))
    return Receipt(
        via=VIA,
        name=str(package.name),
        digest=image.digest,
        where=str(store),
        bytes_written=shelf.written,
        lines=(
            f"registered {package.name} in {store}",
            *replaced(listed_digest(before) if before is not None else "", image.digest),
            *shelf.lines,
            *told,
        ),
    )


def plan(package: Package, store: Path) -> Plan:
    """Return what `put` would write, without writing or reading a base through.

    Raises:
        DestinationError: as `put` would.
        UnsupportedError: as `put` would.
    """
    gguf = package.base.gguf
    if gguf is None:
        package, base = _settled(package, store, None)
    else:
        package = replace(package, name=spelled_as_in(names_in(store), package.name))
        base = image_of_gguf(package.base, _UNKNOWN_DIGEST, _size(gguf))
    image = build_image(package, base)
    items = [
        (_label(layer), layer.size if why_lost(store, layer) else 0)
        for layer in (*image.layers, image.config)
        if layer.content is not None or layer.file is not None
    ]
    return Plan(
        via=VIA,
        name=str(package.name),
        where=str(store),
        items=(*items, ("manifest", len(image.manifest))),
        replaces=has_manifest(store, package.name),
    )


def has_base(store: Path, base: Base) -> bool:
    """Return whether `put` would find the base: a GGUF file needs no store, a tag must be in it."""
    if base.gguf is not None:
        return True
    return has_manifest(store, spelled_as_in(names_in(store), parse_name(base.tag)))


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
        if why_lost(store, layer):
            raise DestinationError(
                f"The base {tag} is incomplete.", where=blob_path(store, layer.digest), hint=hint
            )
    return BaseImage(
        tuple(inherited(layer, name.display, _content(store, layer)) for layer in layers),
        _configuration(store, config),
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


def _settled(package: Package, store: Path, progress: Progress | None) -> tuple[Package, BaseImage]:
    gguf = package.base.gguf
    if gguf is None:
        base = image_in_store(store, package.base.tag)
    else:
        base = image_of_gguf(package.base, digest_of(gguf, progress), _size(gguf))
    return replace(package, name=spelled_as_in(names_in(store), package.name)), base


def _size(gguf: Path) -> int:
    try:
        return gguf.stat().st_size
    except OSError as error:
        raise DestinationError(f"This cannot be read: {error.strerror or error}.", where=gguf) from error


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


def _configuration(store: Path, layer: Layer) -> dict[str, object]:
    path = blob_path(store, layer.digest)
    try:
        config = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DestinationError("The base's configuration cannot be read.", where=path) from error
    if not isinstance(config, dict):
        raise DestinationError("The base's configuration cannot be read.", where=path)
    return config


def _label(layer: Layer) -> str:
    if layer.media_type == CONFIG_TYPE:
        return "configuration"
    kind = layer.media_type.rpartition(".")[2]
    return (
        f"base {layer.file.name}, cloned or linked where possible" if layer.file and kind == "model" else kind
    )


def _look(package: Package, base: BaseImage, store: Path) -> list[str]:
    """Require that the adapter fits its base, and return what to tell the user of that."""
    told = [stacked(package.base.tag)] if has_adapter(base.layers) else []
    for layer in base.layers:
        if layer.media_type == MODEL_TYPE:
            told += look_at_file(package, layer.file or blob_path(store, layer.digest))
    return told


def make_image(package: Package, store: Path | None, progress: Progress | None = None) -> Image:
    """Return the whole model without writing it; `store` is asked for the base where it is a tag.

    Raises:
        DestinationError: the base is not to be had.
    """
    if store is None and package.base.gguf is None:
        raise DestinationError(
            f"There is no store to look up {package.base.tag} in.", hint="OLLAMA_MODELS=DIR"
        )
    _, base = _settled(package, store or Path(), progress)
    return build_image(package, base)
