"""Which way a model goes: asked for by the user, or found out.

``auto`` goes by what the daemon answers, not by its version alone. Where a daemon answers it is asked to
create; where it refuses adapters it pulls; where it cannot come back to this machine its own store is written
into, if that is here. Without a daemon a store is written into, and a store that the user named always is.
Every way that was tried and closed is told.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ollama_pack.destinations import create, folder, pull
from ollama_pack.destinations import store as store_destination
from ollama_pack.destinations.address import is_near, may_answer
from ollama_pack.destinations.base_model import digest_in
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.history import Models, find, replacing, version_name
from ollama_pack.destinations.loopback import UnreachableError
from ollama_pack.destinations.models import DaemonModels, StoreModels
from ollama_pack.destinations.package import Package, Plan
from ollama_pack.destinations.places import (
    Places,
    can_take,
    folder_of,
    nearest,
    require_access,
    store_for,
    store_of,
    store_with_base,
)
from ollama_pack.destinations.refusals import AdapterRefusedError
from ollama_pack.errors import DestinationError, InputError, RefusedError, listing
from ollama_pack.modelfile import misfit
from ollama_pack.names import parse_name
from ollama_pack.parts import Progress, Receipt

AUTO = "auto"
WAYS = (AUTO, create.VIA, pull.VIA, store_destination.VIA, folder.VIA)


@dataclass(frozen=True, slots=True)
class Way:
    """One way in that ``auto`` may take.

    Attributes:
        via: its name.
        reason: why it is taken.
        put: does it.
        plan: says what it would do.
    """

    via: str
    reason: str
    put: Callable[[], Receipt]
    plan: Callable[[], Plan]


def put(package: Package, places: Places, *, via: str = AUTO, progress: Progress | None = None) -> Receipt:
    """Put `package` where `via` says; the receipt tells first what was done, then why ``auto`` chose it.

    Raises:
        RefusedError: the model would replace its own base.
        InputError: a parameter that Ollama would not read.
        DestinationError: the way is closed, or with ``auto`` every way is.
        UnsupportedError: the base cannot take an adapter.
    """
    _refuse_own_base(package)
    _check_parameters(package)
    if via == folder.VIA:
        known = store_with_base(package, nearest(places))
        return folder.put(package, folder_of(places), store=known, progress=progress)
    if via == store_destination.VIA:
        return _into_store(package, places, store_for(package, nearest(places)), progress)
    with Daemon(places.address) as daemon:
        if via == create.VIA:
            return _through(create.put, package, daemon, progress)
        if via == pull.VIA:
            return _through(pull.put, package, daemon, progress)
        return _first_open(_ways(package, daemon, places, progress))


def plan(package: Package, places: Places, *, via: str = AUTO) -> Plan:
    """Return what `put` would do, without doing it.

    Raises:
        DestinationError: as `put` would.
        RefusedError: as `put` would.
        UnsupportedError: as `put` would.
    """
    _refuse_own_base(package)
    if via == folder.VIA:
        return folder.plan(package, folder_of(places), store=store_with_base(package, nearest(places)))
    if via == store_destination.VIA:
        return store_destination.plan(package, store_for(package, nearest(places)))
    with Daemon(places.address) as daemon:
        if via == create.VIA:
            return create.plan(package, daemon)
        if via == pull.VIA:
            return pull.plan(package, daemon)
        way = next(_ways(package, daemon, places, None))
        return replace(way.plan(), reason=way.reason)


def _first_open(ways: Iterator[Way]) -> Receipt:
    """Go the first way that is open; the next is looked for only where one is closed."""
    tried: list[str] = []
    closed: DestinationError | None = None
    for way in ways:
        try:
            receipt = way.put()
        except (AdapterRefusedError, UnreachableError) as error:
            tried.append(f"{way.via}: {error.what}")
            closed = error
            continue
        done, *others = receipt.lines
        return replace(receipt, lines=(done, f"because {way.reason}", *others), tried=tuple(tried))
    assert closed is not None, "there is at least one way"
    if len(tried) > 1:
        raise DestinationError(
            "Every way in is closed:\n" + "\n".join(f"  - {each}" for each in tried),
            where=closed.where,
            hint="--via folder  keeps everything for later",
        ) from closed
    raise closed


def _ways(package: Package, daemon: Daemon, places: Places, progress: Progress | None) -> Iterator[Way]:
    """Yield the ways in, the best first."""
    stored = _store_way(package, places, progress)
    if places.named:
        yield stored(store_for(package, places), "--store names it")
        return
    absent = daemon.why_absent()
    if absent:
        absent = f"{absent} at {daemon.address}"
        yield stored(store_for(package, places, absent), absent)
        return
    at = f"at {daemon.address}"
    pulled = _pull_way(package, daemon, progress)
    if package.base.gguf is not None and not package.template:
        # A daemon gives a GGUF file a prompt template of its own guess; else it keeps the one it has.
        store = store_of(daemon, places)
        if store is not None and can_take(store):
            yield stored(store, f"Ollama {at} reads it, and a GGUF file keeps its prompt there")
        if is_near(daemon.address):
            yield pulled(f"Ollama {at} would guess a prompt, and a GGUF file that it pulls keeps its own")
    refusing = f"Ollama {daemon.version()} {at} creates no adapters, but runs them"
    if not create.surely_refuses(daemon):
        reason = f"Ollama {daemon.version()} answers {at}"
        yield Way(
            create.VIA,
            reason,
            lambda: _through(create.put, package, daemon, progress),
            lambda: create.plan(package, daemon),
        )
    yield pulled(refusing)
    store = store_of(daemon, places)
    if store is not None and can_take(store):
        yield stored(store, refusing)


def _store_way(package: Package, places: Places, progress: Progress | None) -> Callable[[Path, str], Way]:
    return lambda store, reason: Way(
        store_destination.VIA,
        reason,
        lambda: _into_store(package, places, store, progress),
        lambda: store_destination.plan(package, store),
    )


def _pull_way(package: Package, daemon: Daemon, progress: Progress | None) -> Callable[[str], Way]:
    return lambda reason: Way(
        pull.VIA,
        reason,
        lambda: _through(pull.put, package, daemon, progress),
        lambda: pull.plan(package, daemon),
    )


def _refuse_own_base(package: Package) -> None:
    tag = package.base.tag
    if package.base.gguf is None and tag and package.name.same_as(parse_name(tag)):
        raise RefusedError(f"{package.name} would replace its own base.", hint="another name: --name NAME")


def _check_parameters(package: Package) -> None:
    """Require parameters that Ollama reads; those of the base are its own.

    Raises:
        InputError: one is unknown, or of another type; the model would answer every request with an error.
    """
    faults = [why for key, value in package.parameters.items() if (why := misfit(key, value))]
    if faults:
        raise InputError(listing("Ollama would not read these parameters.", faults))


def _through(
    way: Callable[[Package, Daemon, Progress | None], Receipt],
    package: Package,
    daemon: Daemon,
    progress: Progress | None,
) -> Receipt:
    daemon.version()  # tells in seconds where nobody answers; other questions may take a daemon minutes
    models = DaemonModels(daemon)
    receipt = replacing(models, package.name, lambda: way(package, daemon, progress), progress)
    return _with_base(receipt, package, models)


def _with_base(receipt: Receipt, package: Package, models: Models) -> Receipt:
    """Return a receipt with the digests of the base, for who wants to know which one it was."""
    base = None
    if package.base.gguf is None:
        with contextlib.suppress(DestinationError):
            base = find(models, parse_name(package.base.tag))
    blob = models.base_blob(package.name)
    return replace(receipt, base_manifest=base.digest if base else "", base_blob=blob)


def _into_store(package: Package, places: Places, store: Path, progress: Progress | None) -> Receipt:
    """Put `package` into `store`, and have a daemon that may be running forget the model's old runner."""
    require_access(package, store, places)

    def put_there(*, served: bool = False) -> Receipt:
        models = StoreModels(store, served=served)
        put = partial(store_destination.put, package, store, progress)
        return _with_base(replacing(models, package.name, put, progress), package, models)

    if not may_answer(places.address):
        return put_there()
    with Daemon(places.address) as daemon:
        if daemon.why_absent():
            return put_there()
        daemon.unload(package.name.display)
        receipt = put_there(served=store_of(daemon, places) == store)
        with contextlib.suppress(DestinationError):  # the model is there, whatever the daemon says now
            daemon.unload(package.name.display)
            names = (package.name, version_name(package.name, receipt.digest))
            if any(digest_in(daemon, name) == receipt.digest for name in names):
                return replace(receipt, served=True)
            unseen = _unseen(package, daemon, places, store)
            receipt = replace(receipt, lines=(*receipt.lines, unseen))
    return receipt


def _unseen(package: Package, daemon: Daemon, places: Places, store: Path) -> str:
    own = store_of(daemon, replace(places, stores=(store, *places.stores)))
    elsewhere = own is not None and own.resolve() != store.resolve()
    if elsewhere or not daemon.has_blob(package.adapter.digest):
        return f"Ollama at {places.address} does not see it: it reads another store"
    return f"Ollama at {places.address} does not show it"
