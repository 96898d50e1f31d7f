"""Finds where models are on this machine: the daemon's address, and the directories of model stores."""

import contextlib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.disk.files import home_directory
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama.address import may_answer, parse_host
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import NEWER, is_closed, listed_digest, read_manifest
from ollama_pack.shown import shown_address

if TYPE_CHECKING:
    from ollama_pack.ollama.daemon import Daemon

SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")
"""The store of the service that Ollama's installer for Linux sets up."""


@dataclass(frozen=True, slots=True)
class OllamaLocations:
    """The places to which a model can be delivered.

    Attributes:
        address: the URL of the daemon, which may contain a key in its path.
        stores: the directories that may be model stores, the likeliest first.
        folder: the output directory of ``--via folder``, or None.
        named: whether the user named the store with ``--store``; then no other store is used.
        defaulted: whether `stores` are Ollama's defaults; then the store of a running daemon comes first.
        host_named: whether the user named the daemon with ``OLLAMA_HOST``; then its absence is an error.
    """

    address: str
    stores: tuple[Path, ...]
    folder: Path | None = None
    named: bool = False
    defaulted: bool = False
    host_named: bool = False

    @property
    def shown(self) -> str:
        """Return the URL of the daemon as it may be shown."""
        return shown_address(self.address)


def locations_from(
    environment: Mapping[str, str], folder: Path | None = None, store: Path | None = None
) -> OllamaLocations:
    """Return the locations that ``OLLAMA_HOST`` and ``OLLAMA_MODELS`` name, or Ollama's defaults.

    The defaults are those of Ollama's ``envconfig/config.go`` and of its installer for Linux.

    Args:
        environment: the environment variables of the process.
        folder: the output directory of ``--via folder``.
        store: the store that the user named with ``--store``.

    Raises:
        InputError: ``OLLAMA_HOST`` is not an address.
    """
    named = environment.get("OLLAMA_MODELS", "").strip().strip("\"'")
    stores = (Path(named),) if named else (home_directory() / ".ollama" / "models", SERVICE_STORE)
    host = environment.get("OLLAMA_HOST", "")
    address, host_named = parse_host(host), bool(host.strip(" \t\r\n\"'"))
    if store is not None:
        return OllamaLocations(address, (store,), folder, named=True, host_named=host_named)
    return OllamaLocations(address, stores, folder, defaulted=not named, host_named=host_named)


def named_daemon_absent(address: str, why: str, way_out: str) -> DestinationError:
    """Return the error for a daemon that the user named and that cannot be used.

    A store here would be another place than the one the user asked for, and nobody would notice.

    Args:
        address: the address of the daemon.
        why: why it cannot be used, as a clause.
        way_out: the option that uses a store of this machine instead.
    """
    return DestinationError(
        f"{why[:1].upper()}{why[1:]}, but OLLAMA_HOST names it.",
        where=address,
        hint=f"start ollama serve there, or correct OLLAMA_HOST; {way_out}  uses a store of this machine",
        code="no-daemon",
    )


def unreadable_store_error(store: Path, reason: str = "", by_daemon: str = "") -> DestinationError:
    """Return the error for a store that this user may not read.

    Args:
        store: the directory of the store.
        reason: why no daemon is used, as a clause, or an empty string.
        by_daemon: the hint by which a running daemon does it instead; empty if none answers.
    """
    prefix = f"{reason[:1].upper()}{reason[1:]}, and you" if reason else "You"
    return DestinationError(
        f"{prefix} have no permission to read this store.",
        where=store,
        hint=f"{by_daemon or 'ollama serve, which can read it'}; or the same command with "
        f"{sudo_prefix(store)} before it",
        code="store-not-readable",
    )


def is_writable(store: Path) -> bool:
    """Return whether this user may write to `store` and its folders, or create those that do not exist."""
    if is_closed(store):
        return False
    newer = [store / NEWER] if (store / NEWER).exists() else []
    for directory in (store, store / "blobs", store / "manifests", *newer):
        nearest = next(path for path in (directory, *directory.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            return False
    return True


def user_owning(path: Path) -> str:
    """Return the owner of a file in the form that ``sudo -u`` takes: a name, or ``#`` and the user id.

    If this user may not see the path, the owner of its nearest visible parent is returned.
    """
    with contextlib.suppress(PermissionError):
        path.stat()
        with contextlib.suppress(KeyError, NotImplementedError, ImportError):
            return path.owner()
        return f"#{path.stat().st_uid}"
    return user_owning(path.parent)


def sudo_prefix(path: Path) -> str:
    """Return the ``sudo -u OWNER`` prefix for the owner of a file."""
    return f"sudo -u {shlex.quote(user_owning(path))}"


def with_daemon_store_first(places: OllamaLocations) -> OllamaLocations:
    """Return `places` with the store of a running daemon first.

    They are returned unchanged if the user chose a store, or if the daemon's store is not found.
    """
    if places.named or not places.defaulted or not may_answer(places.address):
        return places
    from ollama_pack.ollama.daemon import Daemon

    daemon_store = None
    with Daemon(places.address) as daemon, contextlib.suppress(DestinationError):
        daemon_store = store_of(daemon, places)
    return places if daemon_store is None else replace(places, stores=(daemon_store, *places.stores))


def store_of(daemon: "Daemon", places: OllamaLocations) -> Path | None:
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


def store_with(daemon: "Daemon", name: ModelName, digest: str, places: OllamaLocations) -> Path | None:
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
