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

from ollama_pack.deliver import create, folder, pull
from ollama_pack.deliver import store as store_destination
from ollama_pack.deliver.base_check import digest_in
from ollama_pack.deliver.choose_store import output_folder, require_access, store_for, store_with_base
from ollama_pack.deliver.history import replace_keeping_version, version_name
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt
from ollama_pack.errors import DestinationError, InputError, RefusedError, bullet_list
from ollama_pack.files import Progress
from ollama_pack.modelfile.parameters import value_error
from ollama_pack.ollama.address import is_near, may_answer
from ollama_pack.ollama.api_errors import AdapterRefusedError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations, is_writable, store_of, with_daemon_store_first
from ollama_pack.ollama.loopback_registry import UnreachableError
from ollama_pack.ollama.models import DaemonModels, ModelRepository, StoreModels, find_model
from ollama_pack.ollama.names import parse_name

AUTO = "auto"
DELIVERIES = (AUTO, create.CREATE, pull.PULL, store_destination.STORE, folder.FOLDER)


@dataclass(frozen=True, slots=True)
class Delivery:
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
    plan: Callable[[], DeliveryPlan]


def deliver(
    package: Package, places: OllamaLocations, *, via: str = AUTO, progress: Progress | None = None
) -> Receipt:
    """Put `package` where `via` says; the receipt tells first what was done, then why ``auto`` chose it.

    Raises:
        RefusedError: the model would replace its own base.
        InputError: a parameter that Ollama would not read.
        DestinationError: the way is closed, or with ``auto`` every way is.
        UnsupportedError: the base cannot take an adapter.
    """
    _refuse_own_base(package)
    _check_parameters(package)
    if via == folder.FOLDER:
        known = store_with_base(package, with_daemon_store_first(places))
        return folder.write_folder(package, output_folder(places), store=known, progress=progress)
    if via == store_destination.STORE:
        return _into_store(package, places, store_for(package, with_daemon_store_first(places)), progress)
    with Daemon(places.address) as daemon:
        if via == create.CREATE:
            return _by_daemon(create.create_model, package, daemon, progress)
        if via == pull.PULL:
            return _by_daemon(pull.pull_model, package, daemon, progress)
        return _first_that_works(_deliveries(package, daemon, places, progress))


def plan_delivery(package: Package, places: OllamaLocations, *, via: str = AUTO) -> DeliveryPlan:
    """Return what `deliver` would do, without doing it.

    Raises:
        DestinationError: as `deliver` would.
        RefusedError: as `deliver` would.
        UnsupportedError: as `deliver` would.
    """
    _refuse_own_base(package)
    if via == folder.FOLDER:
        return folder.plan_folder(
            package, output_folder(places), store=store_with_base(package, with_daemon_store_first(places))
        )
    if via == store_destination.STORE:
        return store_destination.plan_store(package, store_for(package, with_daemon_store_first(places)))
    with Daemon(places.address) as daemon:
        if via == create.CREATE:
            return create.plan_create(package, daemon)
        if via == pull.PULL:
            return pull.plan_pull(package, daemon)
        way = next(_deliveries(package, daemon, places, None))
        return replace(way.plan(), reason=way.reason)


def _first_that_works(ways: Iterator[Delivery]) -> Receipt:
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


def _deliveries(
    package: Package, daemon: Daemon, places: OllamaLocations, progress: Progress | None
) -> Iterator[Delivery]:
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
        if store is not None and is_writable(store):
            yield stored(store, f"Ollama {at} reads it, and a GGUF file keeps its prompt there")
        if is_near(daemon.address):
            yield pulled(f"Ollama {at} would guess a prompt, and a GGUF file that it pulls keeps its own")
    refusing = f"Ollama {daemon.version()} {at} creates no adapters, but runs them"
    if not create.surely_refuses(daemon):
        reason = f"Ollama {daemon.version()} answers {at}"
        yield Delivery(
            create.CREATE,
            reason,
            lambda: _by_daemon(create.create_model, package, daemon, progress),
            lambda: create.plan_create(package, daemon),
        )
    yield pulled(refusing)
    store = store_of(daemon, places)
    if store is not None and is_writable(store):
        yield stored(store, refusing)


def _store_way(
    package: Package, places: OllamaLocations, progress: Progress | None
) -> Callable[[Path, str], Delivery]:
    return lambda store, reason: Delivery(
        store_destination.STORE,
        reason,
        lambda: _into_store(package, places, store, progress),
        lambda: store_destination.plan_store(package, store),
    )


def _pull_way(package: Package, daemon: Daemon, progress: Progress | None) -> Callable[[str], Delivery]:
    return lambda reason: Delivery(
        pull.PULL,
        reason,
        lambda: _by_daemon(pull.pull_model, package, daemon, progress),
        lambda: pull.plan_pull(package, daemon),
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
    faults = [why for key, value in package.parameters.items() if (why := value_error(key, value))]
    if faults:
        raise InputError(bullet_list("Ollama would not read these parameters.", faults))


def _by_daemon(
    way: Callable[[Package, Daemon, Progress | None], Receipt],
    package: Package,
    daemon: Daemon,
    progress: Progress | None,
) -> Receipt:
    daemon.version()  # tells in seconds where nobody answers; other questions may take a daemon minutes
    models = DaemonModels(daemon)
    receipt = replace_keeping_version(models, package.name, lambda: way(package, daemon, progress), progress)
    return _with_base(receipt, package, models)


def _with_base(receipt: Receipt, package: Package, models: ModelRepository) -> Receipt:
    """Return a receipt with the digests of the base, for who wants to know which one it was."""
    base = None
    if package.base.gguf is None:
        with contextlib.suppress(DestinationError):
            base = find_model(models, parse_name(package.base.tag))
    blob = models.base_blob(package.name)
    return replace(receipt, base_manifest=base.digest if base else "", base_blob=blob)


def _into_store(package: Package, places: OllamaLocations, store: Path, progress: Progress | None) -> Receipt:
    """Put `package` into `store`, and have a daemon that may be running forget the model's old runner."""
    require_access(package, store, places)

    def put_there(*, served: bool = False) -> Receipt:
        models = StoreModels(store, served=served)
        put = partial(store_destination.write_to_store, package, store, progress)
        return _with_base(replace_keeping_version(models, package.name, put, progress), package, models)

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


def _unseen(package: Package, daemon: Daemon, places: OllamaLocations, store: Path) -> str:
    own = store_of(daemon, replace(places, stores=(store, *places.stores)))
    elsewhere = own is not None and own.resolve() != store.resolve()
    if elsewhere or not daemon.has_blob(package.adapter.digest):
        return f"Ollama at {places.address} does not see it: it reads another store"
    return f"Ollama at {places.address} does not show it"
