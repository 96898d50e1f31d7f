"""Which way a model goes: asked for by the user, or found out.

``auto`` asks the daemon first, because whatever a daemon creates is certainly visible to it. It writes into
a store where no daemon answers, and into the daemon's own, if that is on this machine, where the daemon
refuses adapters or the base is a GGUF file. A store that the user named is always written into.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.destinations import create, folder
from ollama_pack.destinations import store as store_destination
from ollama_pack.destinations.address import may_answer, parse_host
from ollama_pack.destinations.daemon import AdapterRefusedError, Daemon
from ollama_pack.destinations.package import REPLACED, Package, Plan
from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.names import manifest_path, parse_name
from ollama_pack.parts import Progress, Receipt

AUTO = "auto"
WAYS = (AUTO, create.VIA, store_destination.VIA, folder.VIA)
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


def places_from(environment: Mapping[str, str], folder: Path | None = None) -> Places:
    """Return the places the environment names: ``OLLAMA_HOST``, ``OLLAMA_MODELS``, or Ollama's own defaults.

    Raises:
        InputError: ``OLLAMA_HOST`` is no address.
    """
    named = environment.get("OLLAMA_MODELS", "").strip().strip("\"'")
    stores = (Path(named),) if named else (Path.home() / ".ollama" / "models", SERVICE_STORE)
    address = parse_host(environment.get("OLLAMA_HOST", ""))
    return Places(address, stores, folder, defaulted=not named)


def put(package: Package, places: Places, *, via: str = AUTO, progress: Progress | None = None) -> Receipt:
    """Put `package` where `via` says; the receipt tells first what was done, then why ``auto`` chose it.

    Raises:
        RefusedError: the model would replace its own base.
        DestinationError: the way is closed, or with ``auto`` every way is.
        UnsupportedError: the base cannot take an adapter.
    """
    _refuse_own_base(package)
    if via == folder.VIA:
        known = _store_with_base(package, _nearest(places))
        return folder.put(package, _folder(places), store=known, progress=progress)
    if via == store_destination.VIA:
        return _into_store(package, places, _store(package, _nearest(places)), progress)
    with Daemon(places.address) as daemon:
        if via == create.VIA:
            return create.put(package, daemon, progress)
        store, reason = _decide(package, daemon, places)
        if store is None:
            try:
                return _created(package, daemon, places, progress, reason)
            except AdapterRefusedError:
                store = _store_of(daemon, places)
                if store is None:
                    raise
                reason = f"Ollama at {daemon.address} no longer creates models with adapters, but runs them"
        return _because(_into_store(package, places, store, progress), reason)


def plan(package: Package, places: Places, *, via: str = AUTO) -> Plan:
    """Return what `put` would do, without doing it.

    Raises:
        DestinationError: as `put` would.
        RefusedError: as `put` would.
        UnsupportedError: as `put` would.
    """
    _refuse_own_base(package)
    if via == folder.VIA:
        return folder.plan(package, _folder(places), store=_store_with_base(package, _nearest(places)))
    if via == store_destination.VIA:
        return store_destination.plan(package, _store(package, _nearest(places)))
    with Daemon(places.address) as daemon:
        if via == create.VIA:
            return create.plan(package, daemon)
        store, reason = _decide(package, daemon, places)
        if store is None:
            return replace(create.plan(package, daemon), reason=reason)
        return replace(store_destination.plan(package, store), reason=reason)


def _decide(package: Package, daemon: Daemon, places: Places) -> tuple[Path | None, str]:
    """Return which store ``auto`` writes into, None for letting the daemon create, and why."""
    if places.named:
        return _store(package, places), "--store names it"
    absent = _why_no_daemon(daemon)
    if absent:
        return _store(package, places, absent), absent
    if package.base.gguf is not None and not package.template:
        # A daemon gives a GGUF file a prompt template of its own guess; in the store it keeps the one it has.
        store = _store_of(daemon, places)
        if store is not None and _can_take(store):
            return store, f"Ollama at {daemon.address} reads it, and a GGUF file keeps its prompt there"
    if create.surely_refuses(daemon) and (store := _store_of(daemon, places)) is not None:
        return store, f"Ollama {daemon.version()} at {daemon.address} creates no adapters"
    return None, f"Ollama {daemon.version()} answers at {daemon.address}"


def _created(
    package: Package, daemon: Daemon, places: Places, progress: Progress | None, reason: str
) -> Receipt:
    """Let the daemon create, and write into its store after all if it guessed a prompt template.

    A daemon without models cannot be asked where its store is; after the first one it can.
    """
    receipt = _because(create.put(package, daemon, progress), reason)
    store = _store_of(daemon, places) if create.guessed(package, daemon) else None
    if store is None or not _can_take(store):
        return receipt
    daemon.delete(package.name.display)  # with the copy of the base that the daemon encoded anew
    told = f"Ollama at {daemon.address} would guess a prompt, and a GGUF file keeps its own there"
    written = _because(_into_store(package, places, store, progress), told)
    if REPLACED in receipt.lines:
        written = replace(written, lines=(*written.lines, REPLACED))
    return replace(written, bytes_written=written.bytes_written + receipt.bytes_written)


def _refuse_own_base(package: Package) -> None:
    tag = package.base.tag
    if package.base.gguf is None and tag and package.name.same_as(parse_name(tag)):
        raise RefusedError(f"{package.name} would replace its own base.", hint="another name: --name NAME")


def _why_no_daemon(daemon: Daemon) -> str:
    try:
        daemon.version()
    except DestinationError as error:
        return f"{error.what[:1].lower()}{error.what[1:].rstrip('.')} at {daemon.address}"
    return ""


def _because(receipt: Receipt, reason: str) -> Receipt:
    done, *others = receipt.lines
    return replace(receipt, lines=(done, f"because {reason}", *others))


def _into_store(package: Package, places: Places, store: Path, progress: Progress | None) -> Receipt:
    """Put `package` into `store`, and have a daemon that may be running forget the model's old runner."""
    if not may_answer(places.address):
        return store_destination.put(package, store, progress)
    with Daemon(places.address) as daemon:
        if _why_no_daemon(daemon):
            return store_destination.put(package, store, progress)
        daemon.unload(package.name.display)
        receipt = store_destination.put(package, store, progress)
        with contextlib.suppress(DestinationError):  # the model is there, whatever the daemon says now
            daemon.unload(package.name.display)
            if create.digest_in(daemon, package.name) == receipt.digest:
                return replace(receipt, served=True)
            unseen = _unseen(package, daemon, places, store)
            receipt = replace(receipt, lines=(*receipt.lines, unseen))
    return receipt


def _unseen(package: Package, daemon: Daemon, places: Places, store: Path) -> str:
    own = _store_of(daemon, replace(places, stores=(store, *places.stores)))
    elsewhere = own is not None and own.resolve() != store.resolve()
    if elsewhere or not daemon.has_blob(package.adapter.digest):
        return f"Ollama at {places.address} does not see it: it reads another store"
    return f"Ollama at {places.address} does not show it"


def _folder(places: Places) -> Path:
    if places.folder is None:
        raise DestinationError("No folder is named.", hint="--out DIR")
    return places.folder


def _store(package: Package, places: Places, reason: str = "") -> Path:
    """Return the store to write into: one that has the base, for a GGUF base any that can be written."""
    usable: Callable[[Path], bool] = _is_writable if package.base.gguf else _has(package)
    found = next((store for store in places.stores if usable(store)), None)
    if found is not None:
        return found
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


def _store_with_base(package: Package, places: Places) -> Path | None:
    return next((store for store in places.stores if _has(package)(store)), None)


def _has(package: Package) -> Callable[[Path], bool]:
    return lambda store: store_destination.has_base(store, package.base)


def _is_writable(store: Path) -> bool:
    for directory in (store, store / "blobs", store / "manifests"):
        nearest = next(path for path in (directory, *directory.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            return False
    return True


def _can_take(store: Path) -> bool:
    """Return whether a model written into `store` would be registered, and seen."""
    with contextlib.suppress(DestinationError):
        store_destination.check_layout(store)
        return _is_writable(store)
    return False


def _nearest(places: Places) -> Places:
    """Return `places` with a running daemon's own store first, where nobody said which store to use."""
    if places.named or not places.defaulted or not may_answer(places.address):
        return places
    own = None
    with Daemon(places.address) as daemon, contextlib.suppress(DestinationError):
        own = _store_of(daemon, places)
    return places if own is None else replace(places, stores=(own, *places.stores))


def _store_of(daemon: Daemon, places: Places) -> Path | None:
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
            manifest = manifest_path(store, name)
            if manifest.is_file() and hashlib.sha256(manifest.read_bytes()).hexdigest() == model.digest:
                return store
    return None


def _path_in(modelfile: str) -> Path | None:
    """Return the blob a daemon's Modelfile is built FROM; no API says where a store is."""
    for line in modelfile.splitlines():
        if line.startswith("FROM "):
            path = Path(line.removeprefix("FROM ").strip())
            return path if path.is_absolute() and path.parent.name == "blobs" else None
    return None
