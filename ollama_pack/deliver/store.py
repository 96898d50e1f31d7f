"""The delivery ``store``: writes a model into an Ollama store, without a daemon.

A running daemon lists the model at once, because it reads the manifests again on every request. Both store
layouts of Ollama are read and written; `ollama_pack.ollama.store_layout` describes them.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from ollama_pack.base.digest_memory import digest_kept
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.base_check import check_base_file, kind_of_model
from ollama_pack.deliver.image import base_has_adapter_note, build_image, image_of_gguf
from ollama_pack.deliver.leftovers import remove_empty_entries
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt, replaced_note
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.blob_store import StoreTransaction
from ollama_pack.ollama.manifest import MODEL_TYPE, BaseImage, Image, Layer, has_adapter
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import image_in_store, spelled_as_in
from ollama_pack.ollama.store_layout import (
    blob_path,
    delete_manifest,
    has_manifest,
    listed_digest,
    missing_blob,
    names_in,
    read_manifest,
)

STORE = "store"
_UNKNOWN_DIGEST = "sha256:" + "0" * 64


def write_to_store(
    package: Package,
    store: Path,
    progress: Progress | None = None,
    check: Callable[[str], None] | None = None,
) -> Receipt:
    """Write `package` into `store`, blobs first and the manifest last; replace a model of that name.

    Args:
        package: the model.
        store: the directory of the store.
        progress: called while bytes are written.
        check: called with the digest of the model once its manifest is written; if it raises, the manifest
            and the new blobs are removed again.

    Raises:
        DestinationError: the base is missing or the store is not writable; nothing was registered.
        UnsupportedError: the base cannot take an adapter.
        ProofError: the base is not the one that the adapter was trained on, or the adapter does not fit it.
        InputError: the adapter is damaged.
    """
    package, base = _package_and_base(package, store, progress)
    image = build_image(package, base)
    messages = _check_base_in_store(package, base, store)
    before = read_manifest(store, package.name)
    remove_empty_entries(store)
    with StoreTransaction(store, progress) as transaction, digest_kept(package.base.gguf):
        for layer in sorted((*image.layers, image.config), key=lambda each: each.media_type == MODEL_TYPE):
            write = transaction.import_file if layer.media_type == MODEL_TYPE else transaction.add
            write(layer)
        transaction.write_manifest(package.place, image.manifest, (*image.layers, image.config))
        if check is not None:
            with contextlib.ExitStack() as undo:  # Without its manifest, the transaction removes the blobs.
                undo.callback(delete_manifest, store, package.place)
                check(image.digest)
                undo.pop_all()
    return Receipt(
        via=STORE,
        name=str(package.name),
        digest=image.digest,
        where=str(store),
        bytes_written=transaction.written,
        lines=(
            f"registered {package.name} in {store}",
            *replaced_note(listed_digest(before) if before is not None else "", image.digest),
            *transaction.lines,
            *messages,
        ),
    )


def plan_store(package: Package, store: Path) -> DeliveryPlan:
    """Return what `write_to_store` would write, without writing anything or reading a GGUF base in full.

    Raises:
        DestinationError: `write_to_store` would raise it.
        UnsupportedError: `write_to_store` would raise it.
    """
    gguf = package.base.gguf
    if gguf is None:
        package, base = _package_and_base(package, store, None)
    else:
        package = package.renamed(spelled_as_in(names_in(store), package.name))
        base = image_of_gguf(package.base, _UNKNOWN_DIGEST, package.base_size)
    image = build_image(package, base)
    items = [
        (_label(layer, package), layer.size if missing_blob(store, layer) else 0)
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
    """Return whether the base is a GGUF file, or an Ollama model that is in the store."""
    if base.gguf is not None:
        return True
    return has_manifest(store, spelled_as_in(names_in(store), parse_name(base.tag)))


def _package_and_base(package: Package, store: Path, progress: Progress | None) -> tuple[Package, BaseImage]:
    """Return the package with its name spelled as in the store, and the image of its base."""
    gguf = package.base.gguf
    if gguf is None:
        base = image_in_store(store, package.base.tag)
    else:
        base = image_of_gguf(package.base, package.base.blob_digest(progress), package.base_size)
    return package.renamed(spelled_as_in(names_in(store), package.name)), base


def _label(layer: Layer, package: Package) -> str:
    """Return the name of a layer in a plan, for the user."""
    own_base = layer.file if layer.kind == "model" else None
    if own_base is None:
        return layer.kind
    return f"{kind_of_model(package)} {own_base.name}, cloned or linked where possible"


def _check_base_in_store(package: Package, base: BaseImage, store: Path) -> list[str]:
    """Require that the adapter fits its base, and return the messages for the user."""
    messages = [base_has_adapter_note(package.base.tag)] if has_adapter(base.layers) else []
    for layer in base.layers:
        if layer.media_type == MODEL_TYPE:
            messages += check_base_file(package, layer.file or blob_path(store, layer.digest))
    return messages


def make_image(package: Package, store: Path | None, progress: Progress | None = None) -> Image:
    """Return the image of a model without writing it.

    Args:
        package: the model.
        store: the store that has the base, or None if the base is a GGUF file.
        progress: called while a GGUF base is read for its digest.

    Raises:
        DestinationError: the base is missing or damaged.
    """
    if store is None and package.base.gguf is None:
        raise DestinationError(
            f"No Ollama store is known that has {package.base.tag}.",
            hint="OLLAMA_MODELS=DIR",
            code="base-not-here",
        )
    _, base = _package_and_base(package, store or Path(), progress)
    return build_image(package, base)
