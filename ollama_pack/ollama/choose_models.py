"""Chooses whose models a command works on: those of the daemon, or those of a store."""

import contextlib
from collections.abc import Iterator

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import may_answer
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations, named_daemon_absent
from ollama_pack.ollama.models import DaemonModels, ModelRepository, StoreModels
from ollama_pack.ollama.names import ModelName
from ollama_pack.ollama.store_access import unreadable_store_error
from ollama_pack.ollama.store_layout import has_manifest, is_closed, is_store


def _way_without_store(places: OllamaLocations) -> str:
    """Return how a running daemon is asked instead of a store, or an empty text if none answers."""
    if not may_answer(places.address):
        return ""
    with Daemon(places.address) as daemon:
        absent = daemon.why_absent()
    return "" if absent else f"the same command without --store, which asks Ollama at {places.shown}"


@contextlib.contextmanager
def models_at(places: OllamaLocations, name: ModelName) -> Iterator[ModelRepository]:
    """Yield the models of the daemon, or those of a store if the user named one or no daemon answers.

    If there are several stores, the one that has the model `name` is used, else the first.

    Raises:
        DestinationError: the daemon that the user named does not answer; or no daemon answers, and there is
            no store that this user may read.
    """
    problem = "no Ollama daemon answers"
    if not places.named and may_answer(places.address):
        with Daemon(places.address) as daemon:
            problem = daemon.why_absent()
            if not problem:
                yield DaemonModels(daemon)
                return
    if places.host_named and not places.named:
        raise named_daemon_absent(places.shown, problem, "--store DIR")
    stores = [store for store in places.stores if is_store(store)]
    closed = [store for store in places.stores if is_closed(store)]
    if not stores and closed:
        raise unreadable_store_error(closed[0], by_daemon=_way_without_store(places))
    if not stores and places.named:
        raise DestinationError("This directory is not an Ollama store.", where=places.stores[0])
    if not stores:
        raise DestinationError(
            f"{problem[:1].upper()}{problem[1:]}, and there is no store.",
            where=", ".join((places.shown, *map(str, places.stores))),
            hint="ollama serve, or --store DIR",
            code="no-store",
        )
    yield StoreModels(next((store for store in stores if has_manifest(store, name)), stores[0]))
