"""Where a model may be put: the daemon's address, stores on this machine, a folder."""

import contextlib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama.address import may_answer, parse_host
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import NEWER, is_closed, listed_digest, read_manifest

SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")  # of Ollama's installer for Linux


@dataclass(frozen=True, slots=True)
class OllamaLocations:
    """Where a model may be put.

    Attributes:
        address: of the daemon.
        stores: where a store may be, the likeliest first.
        folder: for ``folder``.
        named: whether the user named the store on the command line; then no other is looked at.
        defaulted: whether `stores` are Ollama's own defaults; then the store of a running daemon comes first.
    """

    address: str
    stores: tuple[Path, ...]
    folder: Path | None = None
    named: bool = False
    defaulted: bool = False


def locations_from(
    environment: Mapping[str, str], folder: Path | None = None, store: Path | None = None
) -> OllamaLocations:
    """Return the places the environment names: ``OLLAMA_HOST``, ``OLLAMA_MODELS``, or Ollama's own defaults.

    Args:
        environment: of the process.
        folder: for ``folder``.
        store: the one that the user named on the command line.

    Raises:
        InputError: ``OLLAMA_HOST`` is no address.
    """
    named = environment.get("OLLAMA_MODELS", "").strip().strip("\"'")
    stores = (Path(named),) if named else (Path.home() / ".ollama" / "models", SERVICE_STORE)
    address = parse_host(environment.get("OLLAMA_HOST", ""))
    if store is not None:
        return OllamaLocations(address, (store,), folder, named=True)
    return OllamaLocations(address, stores, folder, defaulted=not named)


def unreadable_store_error(store: Path, reason: str = "") -> DestinationError:
    """Return what to say of a store that is closed to this user."""
    prefix = f"{reason[:1].upper()}{reason[1:]}, and this" if reason else "This"
    return DestinationError(
        f"{prefix} store may not be read by you.",
        where=store,
        hint=f"ollama serve, which reads it; or the same command with {sudo_prefix(store)} before it",
    )


def _store_is_writable(store: Path) -> bool:
    if is_closed(store):
        return False
    newer = [store / NEWER] if (store / NEWER).exists() else []
    for directory in (store, store / "blobs", store / "manifests", *newer):
        nearest = next(path for path in (directory, *directory.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            return False
    return True


def is_writable(store: Path) -> bool:
    """Return whether a model can be written into `store`."""
    return _store_is_writable(store)


def user_owning(path: Path) -> str:
    """Return the user that a file belongs to, as ``sudo -u`` takes it: by name, else ``#`` and the number.

    Of a path that this user may not see, the nearest that can be seen tells.
    """
    with contextlib.suppress(PermissionError):
        path.stat()
        with contextlib.suppress(KeyError, NotImplementedError, ImportError):
            return path.owner()
        return f"#{path.stat().st_uid}"
    return user_owning(path.parent)


def sudo_prefix(path: Path) -> str:
    """Return what runs a command as the user that a file belongs to."""
    return f"sudo -u {shlex.quote(user_owning(path))}"


def with_daemon_store_first(places: OllamaLocations) -> OllamaLocations:
    """Return `places` with a running daemon's own store first, where nobody said which store to use."""
    if places.named or not places.defaulted or not may_answer(places.address):
        return places
    own = None
    with Daemon(places.address) as daemon, contextlib.suppress(DestinationError):
        own = store_of(daemon, places)
    return places if own is None else replace(places, stores=(own, *places.stores))


def store_of(daemon: Daemon, places: OllamaLocations) -> Path | None:
    """Return the daemon's store, if it is on this machine: a model of the daemon's must lie in it."""
    for model in daemon.models():
        try:
            name = parse_name(model.name)
        except InputError:  # a model of the cloud
            continue
        shown = None
        with contextlib.suppress(DestinationError):  # one that is damaged is listed, but not shown
            shown = daemon.show(model.name)
        path = _path_in(shown.modelfile if shown else "")
        candidates = ([path.parent.parent] if path else []) + list(places.stores)
        for store in candidates:
            with contextlib.suppress(DestinationError):  # a closed door is not our daemon's
                content = read_manifest(store, name)
                if content is not None and listed_digest(content) == model.digest:
                    return store
    return None


def _path_in(modelfile: str) -> Path | None:
    """Return the blob a daemon's Modelfile is built FROM; no API says where a store is."""
    for line in modelfile.splitlines():
        if line.startswith("FROM "):
            path = Path(line.removeprefix("FROM ").strip())
            return path if path.is_absolute() and path.parent.name == "blobs" else None
    return None
