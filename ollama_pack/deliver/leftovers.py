"""Finds and removes what builds that were killed, or met a full disk, left behind under temporary names."""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.deliver.staging import is_unproved
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import store_of
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import delete_manifest, entries_in

LEFTOVER_SECONDS = 60
"""An empty manifest of this age is a leftover; a younger one may be about to be written."""

_SERVED = re.compile(r"127\.0\.0\.1:[0-9]{1,5}/p[0-9a-f]{32}/model:latest")


def is_temporary(name: ModelName) -> bool:
    """Return whether this is a name that ollama-pack uses for seconds only, to serve or to prove a model."""
    return _SERVED.fullmatch(name.display) is not None or is_unproved(name)


def remove_leftovers(daemon: Daemon) -> None:
    """Delete temporary names that were left behind by a run that was killed between pull and copy.

    A name whose registry still answers belongs to a run that is still going, and stays. Names with an empty
    manifest, which no daemon lists, are deleted if the store of the daemon is on this machine.

    Raises:
        DestinationError: the daemon does not answer.
    """
    from ollama_pack.ollama.loopback_registry import is_served

    for model in daemon.models():
        if _SERVED.fullmatch(model.name) and not is_served(parse_name(model.name)):
            with contextlib.suppress(DestinationError):  # another run may have deleted it
                erase_model(daemon, model.name)
    store = store_of(daemon, OllamaLocations(daemon.address, ()))
    if store is not None:
        remove_empty_entries(store)


def remove_empty_entries(store: Path) -> None:
    """Delete the empty manifests that a full disk left in a store under temporary names.

    No daemon lists them, so they would stay for good, and keep Ollama from removing unused blobs. A failure
    is ignored.
    """
    for name, path in empty_entries(store):
        with contextlib.suppress(OSError, DestinationError):
            if is_temporary(name) and time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                delete_manifest(store, name)


def empty_entries(store: Path) -> Iterator[tuple[ModelName, Path]]:
    """Yield the name and the path of every entry of a store that is an empty file."""
    for parts, path in entries_in(store):
        with contextlib.suppress(InputError, OSError):
            name = ModelName(*parts)
            if path.is_file() and path.stat().st_size == 0:
                yield name, path
