"""Finds the store of a daemon on this machine, by the digest of a model that both have."""

import contextlib
from pathlib import Path

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama.address import may_answer
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import listed_digest, read_manifest


def with_daemon_store_first(places: OllamaLocations) -> OllamaLocations:
    """Return `places` with the store of a running daemon first.

    They are returned unchanged if the user chose a store, or if the daemon's store is not found.
    """
    if places.named or not places.defaulted or not may_answer(places.address):
        return places
    daemon_store = None
    with Daemon(places.address) as daemon, contextlib.suppress(DestinationError):
        daemon_store = store_of(daemon, places)
    return places if daemon_store is None else places._replace(stores=(daemon_store, *places.stores))


def store_of(daemon: Daemon, places: OllamaLocations) -> Path | None:
    """Return the daemon's store, or None if no store on this machine has a model of the daemon.

    No API reports the path. A store is the daemon's if the manifest of one of its models has the same digest
    in both.

    Raises:
        DestinationError: the daemon does not list its models.
    """
    for model in daemon.models():
        try:
            name = parse_name(model.name)
        except InputError:  # The name of a cloud model is not a model in a store.
            continue
        if (store := store_with(daemon, name, model.digest, places)) is not None:
            return store
    return None


def store_with(daemon: Daemon, name: ModelName, digest: str, places: OllamaLocations) -> Path | None:
    """Return a store on this machine that has a model as the daemon has it, or None.

    Args:
        daemon: the daemon.
        name: the name of the model.
        digest: the digest of its manifest, as the daemon lists it.
        places: the stores that may have it, besides the one that the daemon shows.
    """
    shown = None
    with contextlib.suppress(DestinationError):  # A damaged model is listed, but not shown.
        shown = daemon.show(name.display)
    path = _path_in(shown.modelfile if shown else "")
    for store in ([path.parent.parent] if path else []) + list(places.stores):
        with contextlib.suppress(DestinationError):  # This user may not read every store.
            content = read_manifest(store, name)
            if content is not None and listed_digest(content) == digest:
                return store
    return None


def _path_in(modelfile: str) -> Path | None:
    """Return the path of the blob in the FROM line of a daemon's Modelfile, or None if there is no path."""
    for line in modelfile.splitlines():
        if line.startswith("FROM "):
            path = Path(line.removeprefix("FROM ").strip())
            return path if path.is_absolute() and path.parent.name == "blobs" else None
    return None
