"""The models that are there: in a daemon, or in a store without one."""

import contextlib
import difflib
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.gguf.model_info import ModelInfo, read_model_info, vocabulary_of
from ollama_pack.ollama.address import may_answer
from ollama_pack.ollama.blob_store import StoreTransaction
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations, is_writable, sudo_prefix, unreadable_store_error
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, has_adapter, parse_manifest
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import (
    blob_path,
    corrupt_blob,
    delete_manifest,
    gguf_manifest,
    has_manifest,
    is_closed,
    is_store,
    listed_digest,
    missing_blob,
    names_in,
    read_manifest,
    written_at,
)

SUGGESTED_NAMES, SUGGESTION_SIMILARITY = 3, 0.5
"""How many names are told where one is not there, and how like it they are at least."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model where models are.

    Attributes:
        name: as it is spelled there.
        digest: of its manifest, 64 hexadecimal digits.
        changed: when its manifest was written.
    """

    name: ModelName
    digest: str
    changed: datetime


class ModelRepository(Protocol):
    """Wherever models are: in a daemon, or in a store without one. Each may raise `DestinationError`."""

    @property
    def place(self) -> str:
        """Return where that is: an address, or a directory."""

    @property
    def option(self) -> str:
        """Return the option that leads a command here, with a blank before it; empty where none is needed."""

    def entries(self) -> Iterable[InstalledModel]:
        """Return what is there."""

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Give a model a second name; one that had that name is replaced."""

    def delete(self, name: ModelName) -> None:
        """Take a name away."""

    def unload(self, name: ModelName) -> None:
        """Take a model out of memory, where it may be in one."""

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether a model has an adapter."""

    def base_blob(self, name: ModelName) -> str:
        """Return ``sha256:…`` of a model's weights without its adapter, empty where it cannot be told."""

    def see(self, name: ModelName) -> ModelInfo:
        """Return what a model is built on: its header, tensors and tokens."""

    def why_broken(self, name: ModelName) -> str:
        """Return what a model lacks to run, empty where nothing is seen to be missing."""


def find_model(models: ModelRepository, name: ModelName) -> InstalledModel | None:
    """Return the entry of a model, None where there is none."""
    return next((entry for entry in models.entries() if entry.name.same_as(name)), None)


def no_such_model(models: ModelRepository, name: ModelName) -> InputError:
    """Return what to say of a model that is not there, with the names that are most like it."""
    there = {str(entry.name).lower(): str(entry.name) for entry in models.entries()}
    alike = difflib.get_close_matches(str(name).lower(), there, SUGGESTED_NAMES, SUGGESTION_SIMILARITY)
    offer = f"{', '.join(there[each] for each in alike)}  is there" if alike else ""
    return InputError(f"There is no model {name}.", where=models.place, hint=offer)


_FROM = re.compile(r"^FROM .*[\\/]sha256-([0-9a-f]{64})\s*$", re.MULTILINE)


class DaemonModels:
    """The models of a running daemon."""

    option = ""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.place = daemon, daemon.address

    def entries(self) -> Iterator[InstalledModel]:
        """Yield what the daemon lists, but for models of its cloud."""
        for model in self.daemon.models():
            with contextlib.suppress(InputError):
                yield InstalledModel(parse_name(model.name), model.digest, model.changed)

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

    def base_blob(self, name: ModelName) -> str:
        """Return the digest in the path that the daemon's Modelfile is built FROM."""
        with contextlib.suppress(DestinationError):
            shown = self.daemon.show(name.display)
            found = _FROM.search(shown.modelfile if shown else "")
            return f"sha256:{found[1]}" if found else ""
        return ""

    def see(self, name: ModelName) -> ModelInfo:
        """Return what the daemon shows, tokens too."""
        shown = self.daemon.show(name.display, verbose=True)
        if shown is None:
            raise DestinationError(f"The daemon lists {name}, and does not show it.", where=self.place)
        tokens = vocabulary_of(shown.metadata, "the daemon")
        return ModelInfo(str(name), shown.metadata, shown.shapes, tokens)

    def why_broken(self, name: ModelName) -> str:
        """Return what the daemon says is wrong, or which of base and adapter it does not have."""
        try:
            shown = self.daemon.show(name.display)
            digests = [] if shown is None else re.findall(r"[\\/]sha256-([0-9a-f]{64})", shown.modelfile)
            lost = [digest for digest in digests if not self.daemon.has_blob(f"sha256:{digest}")]
        except DestinationError as error:
            return error.clause
        if lost:
            return f"its blob {lost[0][:12]}… is not there"
        return spoilt_adapter(shown.modelfile if shown else "")


class StoreModels:
    """The models of a store; blobs that nothing names any more are left to Ollama, which tidies them."""

    def __init__(self, store: Path, *, served: bool = False) -> None:
        self.store, self.place = store, str(store)
        self.option = "" if served else f" --store {shlex.quote(str(store))}"

    def entries(self) -> Iterator[InstalledModel]:
        """Yield every model whose manifest is one; Ollama passes over the others."""
        for parts in names_in(self.store):
            with contextlib.suppress(InputError, DestinationError):
                name = ModelName(*parts)
                content = read_manifest(self.store, name)
                if content is not None and _is_listed(content):
                    changed = datetime.fromtimestamp(written_at(self.store, name), timezone.utc)
                    yield InstalledModel(name, listed_digest(content), changed)

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Write a manifest under a second name."""
        content = read_manifest(self.store, source)
        if content is None:
            raise DestinationError(f"There is no model {source}.", where=self.store)
        self._require_writable()
        with StoreTransaction(self.store) as shelf:
            shelf.write_manifest(target, content, ())

    def delete(self, name: ModelName) -> None:
        """Remove a manifest, in both layouts."""
        self._require_writable()
        delete_manifest(self.store, name)

    def _require_writable(self) -> None:
        if not is_writable(self.store):
            raise DestinationError(
                "This store may not be written by you.",
                where=self.store,
                hint=f"the same command with {sudo_prefix(self.store)} before it",
            )

    def unload(self, name: ModelName) -> None:
        """Do nothing: a store runs no models."""

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether a manifest names an adapter."""
        with contextlib.suppress(DestinationError):  # what cannot be read is not known to have one
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            return has_adapter(parse_manifest(content, where=self.store)[1])
        return False

    def base_blob(self, name: ModelName) -> str:
        """Return the digest of a manifest's model layer."""
        with contextlib.suppress(DestinationError):
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            layers = parse_manifest(content, where=self.store)[1]
            return next((layer.digest for layer in layers if layer.media_type == MODEL_TYPE), "")
        return ""

    def see(self, name: ModelName) -> ModelInfo:
        """Return what the header of its weights says."""
        blob = self.base_blob(name)
        if not blob:
            raise DestinationError(f"{name} has no weights in GGUF.", where=self.store)
        return read_model_info(blob_path(self.store, blob), str(name))

    def why_broken(self, name: ModelName) -> str:
        """Return which blob is not there, or not of its size, or an adapter that is not what it was."""
        try:
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            config, layers = parse_manifest(content, where=self.store)
        except DestinationError as error:
            return error.clause
        lost = next((why for layer in (*layers, config) if (why := missing_blob(self.store, layer))), "")
        adapters = [layer for layer in layers if layer.media_type == ADAPTER_TYPE and not lost]
        return lost or "".join(
            filter(None, (corrupt_blob(blob_path(self.store, a.digest)) for a in adapters))
        )


@contextlib.contextmanager
def models_at(places: OllamaLocations, name: ModelName) -> Iterator[ModelRepository]:
    """Yield the models of the daemon; of a store where one is named, or no daemon answers.

    Raises:
        DestinationError: there is neither.
    """
    trouble = "no Ollama daemon answers"
    if not places.named and may_answer(places.address):
        with Daemon(places.address) as daemon:
            trouble = daemon.why_absent()
            if not trouble:
                yield DaemonModels(daemon)
                return
    there = [store for store in places.stores if is_store(store)]
    closed = [store for store in places.stores if is_closed(store)]
    if not there and closed:
        raise unreadable_store_error(closed[0])
    if not there and places.named:
        raise DestinationError("This is no Ollama store.", where=places.stores[0])
    if not there:
        raise DestinationError(
            f"{trouble[:1].upper()}{trouble[1:]}, and there is no store.",
            where=", ".join((places.address, *map(str, places.stores))),
            hint="ollama serve; or --store DIR",
        )
    yield StoreModels(next((store for store in there if has_manifest(store, name)), there[0]))


def spoilt_adapter(modelfile: str) -> str:
    """Return why the adapter in a daemon's Modelfile is damaged, empty where that is not seen from here."""
    for line in modelfile.splitlines():
        blob = Path(line.removeprefix("ADAPTER ").strip())
        if line.startswith("ADAPTER ") and blob.is_absolute():
            with contextlib.suppress(OSError, DestinationError):  # of another machine, or not to be read
                if blob.is_file() and (why := corrupt_blob(blob)):
                    return f"{why}; rm {shlex.quote(str(blob))}, and build it again"
    return ""


def _is_listed(content: bytes) -> bool:
    """Return whether a daemon would list what has this manifest: a model, or one for each engine."""
    try:
        document = json.loads(content)
        return isinstance(document.get("layers") or document.get("manifests"), list)
    except (ValueError, AttributeError, RecursionError):
        return False
