"""Installs a model together with its base, unchanged: into a store, or by letting the daemon pull it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from ollama_pack.deliver.base_check import digest_in
from ollama_pack.deliver.choose import AUTO
from ollama_pack.deliver.history import replace_keeping_version
from ollama_pack.deliver.leftovers import remove_leftovers
from ollama_pack.deliver.package import Receipt
from ollama_pack.deliver.pull import PULL, fetch_served, require_near
from ollama_pack.deliver.store import STORE
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.blob_store import StoreTransaction
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import with_daemon_store_first
from ollama_pack.ollama.locations import OllamaLocations, named_daemon_absent
from ollama_pack.ollama.manifest import Image, Layer
from ollama_pack.ollama.models import DaemonModels, StoreModels
from ollama_pack.ollama.names import ModelName
from ollama_pack.ollama.store import spelled_as_in
from ollama_pack.ollama.store_access import is_writable
from ollama_pack.ollama.store_layout import has_manifest, missing_blob, names_in

Fetch: TypeAlias = Callable[[Layer], Path]
"""Function that returns a file with the bytes of a blob; it is called for the blobs that are missing."""


def install_image(
    image: Image, name: ModelName, locations: OllamaLocations, via: str, fetch: Fetch
) -> Receipt:
    """Install a model under a name with its manifest unchanged, and keep an earlier model of that name.

    Args:
        image: the model.
        name: its name here.
        locations: the daemon and the stores.
        via: the name of a delivery, or ``auto``: the daemon if one answers, else a store.
        fetch: returns the file of a blob that is missing.

    Raises:
        DestinationError: no store can be written, or the daemon refuses.
    """
    with Daemon(locations.address) as daemon:
        store = _store_for_image(daemon, locations, via)
        if store is None:
            put = partial(_put_by_daemon, image, name, fetch, daemon)
            return replace_keeping_version(DaemonModels(daemon), name, put)
    named = spelled_as_in(names_in(store), name)
    put = partial(_put_into_store, image, named, fetch, store)
    return replace_keeping_version(StoreModels(store), named, put)


def has_model(name: ModelName, locations: OllamaLocations, via: str) -> bool:
    """Return whether the place that `install_image` would install into has a model of that name.

    Raises:
        DestinationError: no store can be written, or the daemon refuses.
    """
    with Daemon(locations.address) as daemon:
        store = _store_for_image(daemon, locations, via)
        if store is None:
            return digest_in(daemon, name) != ""
    return has_manifest(store, spelled_as_in(names_in(store), name))


def _store_for_image(daemon: Daemon, locations: OllamaLocations, via: str) -> Path | None:
    """Return the store to write into, or None if the daemon is asked."""
    if via not in {AUTO, STORE}:
        return None
    if via == AUTO and not locations.named:
        absent = daemon.why_absent()
        if not absent:
            return None
        if locations.host_named:
            raise named_daemon_absent(daemon.address, absent, "--via store")
    stores = with_daemon_store_first(locations).stores
    store = next(filter(is_writable, stores), None)
    if store is None:
        raise DestinationError(
            "No Ollama store here is writable.",
            where=", ".join(map(str, stores)),
            hint="ollama serve, or --store DIR",
            code="no-store",
        )
    return store


def _put_into_store(image: Image, name: ModelName, fetch: Fetch, store: Path) -> Receipt:
    """Write a model into a store."""
    every = (image.config, *image.layers)
    with StoreTransaction(store) as transaction:
        for layer in every:
            missing = missing_blob(store, layer)
            transaction.add(layer._replace(file=fetch(layer)) if missing else layer)
        transaction.write_manifest(name, image.manifest, every)
    done = f"registered {name} in {store}"
    return Receipt(STORE, str(name), image.digest, str(store), transaction.written, (done,))


def _put_by_daemon(image: Image, name: ModelName, fetch: Fetch, daemon: Daemon) -> Receipt:
    """Let a daemon pull a model from this process."""
    from ollama_pack.ollama.loopback_registry import serving

    require_near(daemon)
    remove_leftovers(daemon)
    every = (image.config, *image.layers)
    config, *layers = (
        each if daemon.has_blob(each.digest) else each._replace(file=fetch(each)) for each in every
    )
    with serving(Image(tuple(layers), config, image.manifest)) as registry:
        fetch_served(name.display, daemon, registry)
        sent = registry.moved
    done = f"registered {name} with Ollama at {daemon.address}"
    return Receipt(PULL, str(name), image.digest, daemon.address, sent, (done,), served=True)
