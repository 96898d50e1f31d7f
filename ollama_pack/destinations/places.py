"""Where a model may be put: the daemon's address, stores on this machine, a folder."""

import contextlib
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.destinations import store as store_destination
from ollama_pack.destinations.address import may_answer, parse_host
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.manifests import NEWER, is_closed, listed_digest, read_manifest
from ollama_pack.destinations.package import Package
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.names import parse_name

SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")  # of Ollama's installer for Linux


@dataclass(frozen=True, slots=True)
class Places:
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


def places_from(
    environment: Mapping[str, str], folder: Path | None = None, store: Path | None = None
) -> Places:
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
        return Places(address, (store,), folder, named=True)
    return Places(address, stores, folder, defaulted=not named)


def folder_of(places: Places) -> Path:
    """Return the folder for files.

    Raises:
        DestinationError: none is named.
    """
    if places.folder is None:
        raise DestinationError("No folder is named.", hint="--out DIR")
    return places.folder


def store_for(package: Package, places: Places, reason: str = "") -> Path:
    """Return the store to write into: one that has the base, for a GGUF base any that can be written.

    Raises:
        DestinationError: there is none; `reason` says why a store is looked for.
    """
    usable: Callable[[Path], bool] = _is_writable if package.base.gguf else _has(package)
    closed = [store for store in places.stores if is_closed(store)]
    if places.named and package.base.gguf and not closed:
        return places.stores[0]  # whether it can be written is asked where the command is known
    found = next((store for store in places.stores if store not in closed and usable(store)), None)
    if found is not None:
        return found
    if closed and (places.named or not package.base.gguf):
        raise may_not_read(closed[0], reason)
    looked = ", ".join(map(str, places.stores))
    missing = "can be written" if package.base.gguf else f"has {package.base.tag}"
    prefix = f"{reason[:1].upper()}{reason[1:]}, and no" if reason else "No"
    raise DestinationError(
        f"{prefix} Ollama store here {missing}.",
        where=looked,
        hint="--via folder, or OLLAMA_MODELS=DIR"
        if package.base.gguf
        else f"ollama serve, then ollama pull {package.base.tag}; or --via folder",
    )


def may_not_read(store: Path, reason: str = "") -> DestinationError:
    """Return what to say of a store that is closed to this user."""
    prefix = f"{reason[:1].upper()}{reason[1:]}, and this" if reason else "This"
    return DestinationError(
        f"{prefix} store may not be read by you.",
        where=store,
        hint=f"ollama serve, which reads it; or the same command with {as_owner(store)} before it",
    )


def store_with_base(package: Package, places: Places) -> Path | None:
    """Return the first store that has the base, None where none has."""
    readable = (store for store in places.stores if not is_closed(store))
    return next(filter(_has(package), readable), None)


def _has(package: Package) -> Callable[[Path], bool]:
    return lambda store: store_destination.has_base(store, package.base)


def _is_writable(store: Path) -> bool:
    if is_closed(store):
        return False
    newer = [store / NEWER] if (store / NEWER).exists() else []
    for directory in (store, store / "blobs", store / "manifests", *newer):
        nearest = next(path for path in (directory, *directory.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            return False
    return True


def can_take(store: Path) -> bool:
    """Return whether a model can be written into `store`."""
    return _is_writable(store)


def owner_of(path: Path) -> str:
    """Return the user that a file belongs to, as ``sudo -u`` takes it: by name, else ``#`` and the number.

    Of a path that this user may not see, the nearest that can be seen tells.
    """
    with contextlib.suppress(PermissionError):
        path.stat()
        with contextlib.suppress(KeyError, NotImplementedError, ImportError):
            return path.owner()
        return f"#{path.stat().st_uid}"
    return owner_of(path.parent)


def as_owner(path: Path) -> str:
    """Return what runs a command as the user that a file belongs to."""
    return f"sudo -u {shlex.quote(owner_of(path))}"


def require_access(package: Package, store: Path, places: Places) -> None:
    """Require a store that can be written, or say which command would work.

    Raises:
        DestinationError: it cannot be.
    """
    if can_take(store):
        return
    if may_answer(places.address):
        hint = "--via pull or --via create: the daemon writes into it then"
    else:
        folder, name = shlex.quote(str(package.adapter.path.parent)), shlex.quote(str(package.name))
        sudo = as_owner(store) if store.exists() else "sudo"
        hint = f"{sudo} ollama-pack register {folder} {name} --via store --store {shlex.quote(str(store))}"
    raise DestinationError("This store may not be written by you.", where=store, hint=hint)


def nearest(places: Places) -> Places:
    """Return `places` with a running daemon's own store first, where nobody said which store to use."""
    if places.named or not places.defaulted or not may_answer(places.address):
        return places
    own = None
    with Daemon(places.address) as daemon, contextlib.suppress(DestinationError):
        own = store_of(daemon, places)
    return places if own is None else replace(places, stores=(own, *places.stores))


def store_of(daemon: Daemon, places: Places) -> Path | None:
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
