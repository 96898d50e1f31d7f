"""The models that are there: in a daemon, or in a store without one."""

import contextlib
import shlex
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from ollama_pack.destinations.address import may_answer
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.history import Entry, Models
from ollama_pack.destinations.layers import has_adapter, parse_manifest
from ollama_pack.destinations.manifests import (
    erase,
    gguf_manifest,
    has_manifest,
    listed_digest,
    names_in,
    read_manifest,
    written_at,
)
from ollama_pack.destinations.places import Places
from ollama_pack.destinations.shelf import Shelf
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.names import ModelName, parse_name


class DaemonModels:
    """The models of a running daemon."""

    option = ""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def entries(self) -> Iterator[Entry]:
        """Yield what the daemon lists, but for models of its cloud."""
        for model in self.daemon.models():
            with contextlib.suppress(InputError):
                yield Entry(parse_name(model.name), model.digest, model.changed)

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Have the daemon copy a manifest."""
        self.daemon.copy(source.display, target.display)

    def delete(self, name: ModelName) -> None:
        """Have the daemon remove a manifest, and the blobs that no other one names."""
        self.daemon.delete(name.display)

    def unload(self, name: ModelName) -> None:
        """Have the daemon take a model out of memory."""
        self.daemon.unload(name.display)

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether the daemon shows an adapter."""
        shown = self.daemon.show(name.display)
        return shown is not None and shown.has_adapter


class StoreModels:
    """The models of a store; blobs that nothing names any more are left to Ollama, which tidies them."""

    def __init__(self, store: Path, *, served: bool = False) -> None:
        self.store = store
        self.option = "" if served else f" --store {shlex.quote(str(store))}"

    def entries(self) -> Iterator[Entry]:
        """Yield every model whose manifest can be read."""
        for parts in names_in(self.store):
            with contextlib.suppress(InputError, DestinationError):
                name = ModelName(*parts)
                content = read_manifest(self.store, name)
                if content is not None:
                    changed = datetime.fromtimestamp(written_at(self.store, name), timezone.utc)
                    yield Entry(name, listed_digest(content), changed)

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Write a manifest under a second name."""
        content = read_manifest(self.store, source)
        if content is None:
            raise DestinationError(f"There is no model {source}.", where=self.store)
        with Shelf(self.store) as shelf:
            shelf.publish(target, content, ())

    def delete(self, name: ModelName) -> None:
        """Remove a manifest, in both layouts."""
        erase(self.store, name)

    def unload(self, name: ModelName) -> None:
        """Do nothing: a store runs no models."""

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether a manifest names an adapter."""
        with contextlib.suppress(DestinationError):  # what cannot be read is not known to have one
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            return has_adapter(parse_manifest(content, where=self.store)[1])
        return False


@contextlib.contextmanager
def models_at(places: Places, name: ModelName) -> Iterator[Models]:
    """Yield the models of the daemon; of a store where one is named, or no daemon answers.

    Raises:
        DestinationError: there is neither.
    """
    if not places.named and may_answer(places.address):
        with Daemon(places.address) as daemon:
            daemon.version()
            yield DaemonModels(daemon)
        return
    stores = [store for store in places.stores if has_manifest(store, name)] or list(places.stores)
    if not (stores[0] / "manifests").is_dir():
        raise DestinationError(
            "No Ollama daemon answers, and there is no store.",
            where=f"{places.address}, {stores[0]}",
            hint="ollama serve; or --store DIR",
        )
    yield StoreModels(stores[0])
