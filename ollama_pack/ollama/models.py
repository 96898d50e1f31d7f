"""Lists, copies and deletes installed models, in a daemon or in a store without a daemon."""

import contextlib
import difflib
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.formats.untrusted_json import parse_object
from ollama_pack.gguf.constants import MERGED_ADAPTER
from ollama_pack.gguf.model_info import ModelInfo, read_model_info, vocabulary_of
from ollama_pack.ollama.blob_store import StoreTransaction
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, has_adapter, parse_manifest
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_access import is_writable, sudo_prefix
from ollama_pack.ollama.store_layout import (
    blob_path,
    corrupt_blob,
    delete_manifest,
    gguf_manifest,
    listed_digest,
    missing_blob,
    names_in,
    read_manifest,
    written_at,
)

SUGGESTED_NAMES, SUGGESTION_SIMILARITY = 3, 0.5
"""The number of similar names that an error suggests, and the least similarity of each (0 to 1)."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model in a daemon or in a store.

    Attributes:
        name: the name, as it is spelled there.
        digest: the SHA-256 of its manifest, 64 hexadecimal digits.
        changed: the time at which its manifest was written.
    """

    name: ModelName
    digest: str
    changed: datetime


class ModelRepository(Protocol):
    """A daemon, or a store without a daemon. Every method may raise `DestinationError`."""

    @property
    def place(self) -> str:
        """Return the address of the daemon, or the directory of the store."""

    @property
    def option(self) -> str:
        """Return the option with which a command uses this place, after a space, or an empty string."""

    def entries(self) -> Iterable[InstalledModel]:
        """Return the installed models."""

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Copy a model to the name `target`, and replace a model that has this name."""

    def delete(self, name: ModelName) -> None:
        """Delete a model."""

    def unload(self, name: ModelName) -> None:
        """Unload a model from memory."""

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether a model has an adapter."""

    def base_blob(self, name: ModelName) -> str:
        """Return the digest ``sha256:…`` of the weights of the base, or an empty string if it is unknown."""

    def see(self, name: ModelName) -> ModelInfo:
        """Return the metadata, tensors and tokens of the base of a model."""

    def why_broken(self, name: ModelName) -> str:
        """Return which part of a model is missing or damaged, or an empty string if none is known to be."""


def find_model(models: ModelRepository, name: ModelName) -> InstalledModel | None:
    """Return an installed model, or None if it is not installed."""
    return next((entry for entry in models.entries() if entry.name.same_as(name)), None)


def no_such_model(models: ModelRepository, name: ModelName) -> InputError:
    """Return the error for a model that is not installed, with the most similar names as a hint."""
    installed = {str(entry.name).lower(): str(entry.name) for entry in models.entries()}
    similar = difflib.get_close_matches(str(name).lower(), installed, SUGGESTED_NAMES, SUGGESTION_SIMILARITY)
    hint = f"an installed model: {', '.join(installed[each] for each in similar)}" if similar else ""
    return UsageError(f"There is no model {name}.", where=models.place, hint=hint, code="no-such-model")


def is_ours(models: ModelRepository, name: ModelName) -> bool:
    """Return whether a model has an adapter, as a file of its own or merged into its weights."""
    if models.has_adapter(name):
        return True
    with contextlib.suppress(DestinationError, InputError):  # no weights that can be read
        return MERGED_ADAPTER in models.see(name).metadata
    return False


_FROM = re.compile(r"^FROM .*[\\/]sha256-([0-9a-f]{64})\s*$", re.MULTILINE)


class DaemonModels:
    """The models of a running daemon."""

    option = ""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.place = daemon, daemon.address

    def entries(self) -> Iterator[InstalledModel]:
        """Yield the models that the daemon lists, without those of Ollama's cloud."""
        for model in self.daemon.models():
            with contextlib.suppress(InputError):
                yield InstalledModel(parse_name(model.name), model.digest, model.changed)

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Let the daemon copy a manifest."""
        self.daemon.copy(source.display, target.display)

    def delete(self, name: ModelName) -> None:
        """Let the daemon delete a manifest, and the blobs that no other manifest names."""
        erase_model(self.daemon, name.display)

    def unload(self, name: ModelName) -> None:
        """Let the daemon unload a model from memory."""
        self.daemon.unload(name.display)

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether the daemon shows an adapter for a model."""
        shown = self.daemon.show(name.display)
        return shown is not None and shown.has_adapter

    def base_blob(self, name: ModelName) -> str:
        """Return the digest in the FROM line of the daemon's Modelfile, or an empty string."""
        with contextlib.suppress(DestinationError):
            shown = self.daemon.show(name.display)
            match = _FROM.search(shown.modelfile if shown else "")
            return f"sha256:{match[1]}" if match else ""
        return ""

    def see(self, name: ModelName) -> ModelInfo:
        """Return what the daemon shows of a model, with its tokens."""
        shown = self.daemon.show(name.display, verbose=True)
        if shown is None:
            raise DestinationError(f"The daemon lists {name}, but does not show it.", where=self.place)
        tokens = vocabulary_of(shown.metadata, "the daemon")
        return ModelInfo(str(name), shown.metadata, shown.shapes, tokens)

    def why_broken(self, name: ModelName) -> str:
        """Return the daemon's error, or which blob of the base or the adapter is missing or damaged."""
        try:
            shown = self.daemon.show(name.display)
            digests = [] if shown is None else re.findall(r"[\\/]sha256-([0-9a-f]{64})", shown.modelfile)
            missing = [digest for digest in digests if not self.daemon.has_blob(f"sha256:{digest}")]
        except DestinationError as error:
            return error.clause
        if missing:
            return f"its blob {missing[0][:12]}… is missing"
        return spoilt_adapter(shown.modelfile if shown else "")


class StoreModels:
    """The models of a store. Unused blobs stay; Ollama removes them when it starts."""

    def __init__(self, store: Path, *, served: bool = False) -> None:
        self.store, self.place = store, str(store)
        self.option = "" if served else f" --store {shlex.quote(str(store))}"

    def entries(self) -> Iterator[InstalledModel]:
        """Yield every model with a valid manifest; Ollama ignores the others too."""
        for parts in names_in(self.store):
            with contextlib.suppress(InputError, DestinationError):
                name = ModelName(*parts)
                content = read_manifest(self.store, name)
                if content is not None and _is_listed(content):
                    changed = datetime.fromtimestamp(written_at(self.store, name), timezone.utc)
                    yield InstalledModel(name, listed_digest(content), changed)

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Write the manifest of a model under a second name."""
        content = read_manifest(self.store, source)
        if content is None:
            raise DestinationError(f"There is no model {source}.", where=self.store)
        self._require_writable()
        with StoreTransaction(self.store) as transaction:
            transaction.write_manifest(target, content, ())

    def delete(self, name: ModelName) -> None:
        """Delete the manifest of a model, in both layouts."""
        self._require_writable()
        delete_manifest(self.store, name)

    def _require_writable(self) -> None:
        """Raise a DestinationError if this user cannot write to the store."""
        if not is_writable(self.store):
            raise DestinationError(
                "You have no permission to write to this store.",
                where=self.store,
                hint=f"the same command with {sudo_prefix(self.store)} before it",
                code="store-not-writable",
            )

    def unload(self, name: ModelName) -> None:
        """Do nothing, because a store without a daemon runs no models."""

    def has_adapter(self, name: ModelName) -> bool:
        """Return whether the manifest of a model names an adapter; False if it cannot be read."""
        with contextlib.suppress(DestinationError):
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            return has_adapter(parse_manifest(content, where=self.store)[1])
        return False

    def base_blob(self, name: ModelName) -> str:
        """Return the digest of the model layer in a manifest, or an empty string."""
        with contextlib.suppress(DestinationError):
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            layers = parse_manifest(content, where=self.store)[1]
            return next((layer.digest for layer in layers if layer.media_type == MODEL_TYPE), "")
        return ""

    def see(self, name: ModelName) -> ModelInfo:
        """Return the metadata, tensors and tokens in the GGUF header of the base."""
        blob = self.base_blob(name)
        if not blob:
            raise DestinationError(f"{name} has no weights in the GGUF format.", where=self.store)
        return read_model_info(blob_path(self.store, blob), str(name))

    def why_broken(self, name: ModelName) -> str:
        """Return which blob is missing or has the wrong size, or that the adapter is damaged."""
        try:
            content = gguf_manifest(self.store, read_manifest(self.store, name) or b"")
            config, layers = parse_manifest(content, where=self.store)
        except DestinationError as error:
            return error.clause
        missing = next((why for layer in (*layers, config) if (why := missing_blob(self.store, layer))), "")
        adapters = [layer for layer in layers if layer.media_type == ADAPTER_TYPE and not missing]
        return missing or "".join(
            filter(None, (corrupt_blob(blob_path(self.store, a.digest)) for a in adapters))
        )


def spoilt_adapter(modelfile: str) -> str:
    """Return that the adapter in a daemon's Modelfile is damaged, and what to do about it.

    An empty string is returned if its blob is intact or cannot be read from here.
    """
    for line in modelfile.splitlines():
        blob = Path(line.removeprefix("ADAPTER ").strip())
        if line.startswith("ADAPTER ") and blob.is_absolute():
            with contextlib.suppress(OSError, DestinationError):  # The path may be on another machine.
                if blob.is_file() and (why := corrupt_blob(blob)):
                    return f"{why}; rm {shlex.quote(str(blob))}, then build the model again"
    return ""


def _is_listed(content: bytes) -> bool:
    """Return whether Ollama would list this manifest: that of a model, or a list with one for each engine."""
    try:
        document = parse_object(content)
    except ValueError:
        return False
    return isinstance(document.get("layers") or document.get("manifests"), list)
