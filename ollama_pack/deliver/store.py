"""A model straight into an Ollama store: no daemon needed, and a running one sees it at once.

The daemon reads its manifests anew on every request, so a model exists the moment its manifest does. Both
layouts that Ollama has had are read and written; `ollama_pack.ollama.store_layout` knows them.
"""

from dataclasses import replace
from pathlib import Path

from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.base_check import check_base_file
from ollama_pack.deliver.image import base_has_adapter_note, build_image, image_of_gguf
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt, replaced_note
from ollama_pack.errors import DestinationError
from ollama_pack.files import Progress, sha256_of_file
from ollama_pack.ollama.blob_store import StoreTransaction
from ollama_pack.ollama.manifest import CONFIG_TYPE, MODEL_TYPE, BaseImage, Image, Layer, has_adapter
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import image_in_store, spelled_as_in
from ollama_pack.ollama.store_layout import (
    blob_path,
    has_manifest,
    listed_digest,
    missing_blob,
    names_in,
    read_manifest,
)

STORE = "store"
_UNKNOWN_DIGEST = "sha256:" + "0" * 64


def write_to_store(package: Package, store: Path, progress: Progress | None = None) -> Receipt:
    """Write `package` into `store`, blobs first and the manifest last; a model of that name is replaced.

    Raises:
        DestinationError: the base is not there, or the store cannot be written; then nothing was registered.
        UnsupportedError: the base cannot take an adapter.
        InputError: the adapter does not fit it.
    """
    package, base = _package_and_base(package, store, progress)
    image = build_image(package, base)
    told = _check_base_in_store(package, base, store)
    before = read_manifest(store, package.name)
    with StoreTransaction(store, progress) as shelf:
        for layer in (*image.layers, image.config):
            if layer.media_type != MODEL_TYPE:
                shelf.add(layer)
        for layer in image.layers:
            if layer.media_type == MODEL_TYPE:
                shelf.import_file(layer)
        shelf.write_manifest(package.name, image.manifest, (*image.layers, image.config))
    return Receipt(
        via=STORE,
        name=str(package.name),
        digest=image.digest,
        where=str(store),
        bytes_written=shelf.written,
        lines=(
            f"registered {package.name} in {store}",
            *replaced_note(listed_digest(before) if before is not None else "", image.digest),
            *shelf.lines,
            *told,
        ),
    )


def plan_store(package: Package, store: Path) -> DeliveryPlan:
    """Return what `write_to_store` would write, without writing or reading a base through.

    Raises:
        DestinationError: as `write_to_store` would.
        UnsupportedError: as `write_to_store` would.
    """
    gguf = package.base.gguf
    if gguf is None:
        package, base = _package_and_base(package, store, None)
    else:
        package = replace(package, name=spelled_as_in(names_in(store), package.name))
        base = image_of_gguf(package.base, _UNKNOWN_DIGEST, _gguf_size(gguf))
    image = build_image(package, base)
    items = [
        (_label(layer), layer.size if missing_blob(store, layer) else 0)
        for layer in (*image.layers, image.config)
        if layer.content is not None or layer.file is not None
    ]
    return DeliveryPlan(
        via=STORE,
        name=str(package.name),
        where=str(store),
        items=(*items, ("manifest", len(image.manifest))),
        replaces=has_manifest(store, package.name),
    )


def has_base(store: Path, base: BaseModel) -> bool:
    """Return whether `write_to_store` would find the base: a GGUF file, or a tag that is in the store."""
    if base.gguf is not None:
        return True
    return has_manifest(store, spelled_as_in(names_in(store), parse_name(base.tag)))


def _package_and_base(package: Package, store: Path, progress: Progress | None) -> tuple[Package, BaseImage]:
    gguf = package.base.gguf
    if gguf is None:
        base = image_in_store(store, package.base.tag)
    else:
        base = image_of_gguf(package.base, sha256_of_file(gguf, progress), _gguf_size(gguf))
    return replace(package, name=spelled_as_in(names_in(store), package.name)), base


def _gguf_size(gguf: Path) -> int:
    try:
        return gguf.stat().st_size
    except OSError as error:
        raise DestinationError(f"This cannot be read: {error.strerror or error}.", where=gguf) from error


def _label(layer: Layer) -> str:
    if layer.media_type == CONFIG_TYPE:
        return "configuration"
    kind = layer.media_type.rpartition(".")[2]
    return (
        f"base {layer.file.name}, cloned or linked where possible" if layer.file and kind == "model" else kind
    )


def _check_base_in_store(package: Package, base: BaseImage, store: Path) -> list[str]:
    """Require that the adapter fits its base, and return what to tell the user of that."""
    told = [base_has_adapter_note(package.base.tag)] if has_adapter(base.layers) else []
    for layer in base.layers:
        if layer.media_type == MODEL_TYPE:
            told += check_base_file(package, layer.file or blob_path(store, layer.digest))
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
    _, base = _package_and_base(package, store or Path(), progress)
    return build_image(package, base)
