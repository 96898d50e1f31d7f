"""Chooses the delivery of a model: the one the user names, or with ``auto`` the first that works.

``auto`` decides by what the daemon answers, not by its version alone. It asks a daemon that answers to create
the model. If the daemon refuses adapters, ``auto`` lets it pull the model; if the daemon cannot reach this
machine, ``auto`` writes into the daemon's store, if that is on this machine. If ``/api/create`` would not
make exactly this model, ``auto`` tries the daemon's store and the pull first. If the user named a store, or
if no daemon answers and ``OLLAMA_HOST`` names none, ``auto`` writes into a store. A daemon that
``OLLAMA_HOST`` names and that does not answer is an error. The receipt lists each delivery that failed.
See "`auto` is a row of deliveries, and an open one ends it" in docs/decisions.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.deliver import create, folder, pull
from ollama_pack.deliver import store as store_destination
from ollama_pack.deliver.choose_store import output_folder, store_for, store_with_base
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt
from ollama_pack.deliver.registration import register_in_store, register_with_daemon, with_recorded_base
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError, InputError, RefusedError, bullet_list
from ollama_pack.message import Message
from ollama_pack.modelfile.parameters import value_error
from ollama_pack.ollama.address import is_near
from ollama_pack.ollama.api_errors import AdapterRefusedError, UnreachableError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import store_of, with_daemon_store_first
from ollama_pack.ollama.locations import OllamaLocations, named_daemon_absent
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_access import is_writable

AUTO = "auto"
DELIVERIES = (AUTO, create.CREATE, pull.PULL, store_destination.STORE, folder.FOLDER)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery that ``auto`` may choose.

    Attributes:
        via: the name of the delivery.
        reason: why ``auto`` would choose it.
        run: a function that delivers the model.
        plan: a function that returns what `run` would do.
    """

    via: str
    reason: str
    run: Callable[[], Receipt]
    plan: Callable[[], DeliveryPlan]


def deliver(
    package: Package, locations: OllamaLocations, *, via: str = AUTO, progress: Progress | None = None
) -> Receipt:
    """Deliver `package` by `via`; the receipt says what was done, and with ``auto`` why it was chosen.

    For a merged model, `base_blob` of the receipt is the digest of the base that the adapter was merged into.

    Args:
        package: the model.
        locations: the daemon's address, the stores on this machine, and the folder.
        via: the name of a delivery, or ``auto``.
        progress: called while bytes are sent or written.

    Raises:
        RefusedError: the model would replace its own base.
        ProofError: the base is not the one that was trained on, or the load proof failed; an earlier model
            keeps its name.
        InputError: Ollama would not accept a parameter.
        DestinationError: the delivery failed; with ``auto``, every delivery failed.
        UnsupportedError: the base cannot take an adapter.
    """
    _refuse_own_base(package)
    _check_parameters(package)
    receipt, before = _deliver_by(via, package, locations, progress), package.merged_from
    if before is None:
        return receipt
    return replace(receipt, base_manifest="", base_blob=before.blob_digest())


def _deliver_by(via: str, package: Package, locations: OllamaLocations, progress: Progress | None) -> Receipt:
    """Deliver a package by one delivery, or by the first of ``auto`` that works."""
    if via == folder.FOLDER:
        known = store_with_base(package, with_daemon_store_first(locations))
        receipt = folder.write_folder(package, output_folder(locations), store=known, progress=progress)
        return with_recorded_base(receipt, package, known, locations)
    if via == store_destination.STORE:
        return register_in_store(
            package, locations, store_for(package, with_daemon_store_first(locations)), progress
        )
    with Daemon(locations.address) as daemon:
        if via == create.CREATE:
            return register_with_daemon(create.create_model, package, daemon, progress)
        if via == pull.PULL:
            return register_with_daemon(pull.pull_model, package, daemon, progress)
        return _first_that_works(_deliveries(package, daemon, locations, progress))


def plan_delivery(package: Package, locations: OllamaLocations, *, via: str = AUTO) -> DeliveryPlan:
    """Return what `deliver` would do, without doing it.

    Raises:
        DestinationError: `deliver` would raise it.
        RefusedError: `deliver` would raise it.
        UnsupportedError: `deliver` would raise it.
    """
    _refuse_own_base(package)
    if via == folder.FOLDER:
        return folder.plan_folder(
            package,
            output_folder(locations),
            store=store_with_base(package, with_daemon_store_first(locations)),
        )
    if via == store_destination.STORE:
        return store_destination.plan_store(package, store_for(package, with_daemon_store_first(locations)))
    with Daemon(locations.address) as daemon:
        if via == create.CREATE:
            return create.plan_create(package, daemon)
        if via == pull.PULL:
            return pull.plan_pull(package, daemon)
        delivery = next(_deliveries(package, daemon, locations, None))
        return delivery.plan()._replace(reason=delivery.reason)


def _first_that_works(deliveries: Iterator[Delivery]) -> Receipt:
    """Run the deliveries in order until one works; the iterator computes the next one only when needed."""
    tried: list[str] = []
    failure: DestinationError | None = None
    for delivery in deliveries:
        try:
            receipt = delivery.run()
        except (AdapterRefusedError, UnreachableError) as error:
            tried.append(f"{delivery.via}: {error.what}")
            failure = error
            continue
        done, *others = receipt.lines
        reason = Message(f"because {delivery.reason}", "reason", reason=delivery.reason)
        return replace(receipt, lines=(done, reason, *others), tried=tuple(tried))
    assert failure is not None, "there is at least one delivery"
    if len(tried) > 1:
        raise DestinationError(
            "No delivery works:\n" + "\n".join(f"  - {each}" for each in tried),
            where=failure.where,
            hint="--via folder  writes everything into a folder for later",
            code="no-delivery",
        ) from failure
    raise failure


def _deliveries(
    package: Package, daemon: Daemon, locations: OllamaLocations, progress: Progress | None
) -> Iterator[Delivery]:
    """Yield the deliveries that ``auto`` tries, the best one first."""
    by_store = _store_delivery(package, locations, progress)
    if locations.named:
        yield by_store(store_for(package, locations), "--store names this store")
        return
    absent = daemon.why_absent()
    if absent and locations.host_named:
        raise named_daemon_absent(daemon.address, absent, "--via store")
    if absent:
        absent = f"{absent} at {daemon.address}"
        yield by_store(store_for(package, locations, absent), absent)
        return
    at = f"at {daemon.address}"
    by_pull = _pull_delivery(package, daemon, progress)
    for by_store_reason, by_pull_reason in _losses_of_create(package, daemon, at):
        store = _writable_store(daemon, locations)
        if store is not None:
            yield by_store(store, by_store_reason)
        if is_near(daemon.address):
            yield by_pull(by_pull_reason)
    if package.adapter is None or not create.surely_refuses(daemon):
        reason = f"Ollama {daemon.version()} answers {at}"
        yield Delivery(
            create.CREATE,
            reason,
            lambda: register_with_daemon(create.create_model, package, daemon, progress),
            lambda: create.plan_create(package, daemon),
        )
    if package.adapter is None:  # The daemon cannot have refused an adapter, so nothing else would help.
        return
    refusing = f"Ollama {daemon.version()} {at} does not create models with adapters, but runs them"
    yield by_pull(refusing)
    store = _writable_store(daemon, locations)
    if store is not None:
        yield by_store(store, refusing)


def _losses_of_create(package: Package, daemon: Daemon, at: str) -> Iterator[tuple[str, str]]:
    """Yield a reason for ``store`` and one for ``pull`` if ``create`` would not make exactly this model.

    See "A GGUF base goes into the daemon's own store, if that can be reached" in docs/decisions.md:
    ``/api/create`` would replace the prompt template inside a GGUF file with a guess.
    """
    if package.base.gguf is not None and not package.template:
        yield (
            f"Ollama {at} uses this store, and the GGUF file keeps its prompt template there",
            f"the GGUF file keeps its prompt template if Ollama {at} pulls the model",
        )
    elif create.kept_notes(package, daemon):
        without = "without a part of its base that /api/create would keep"
        yield (
            f"Ollama {at} uses this store, and the model is written there {without}",
            f"Ollama {at} pulls the model {without}",
        )


def _writable_store(daemon: Daemon, locations: OllamaLocations) -> Path | None:
    """Return the store of a daemon if this user may write into it."""
    store = store_of(daemon, locations)
    return store if store is not None and is_writable(store) else None


def _store_delivery(
    package: Package, locations: OllamaLocations, progress: Progress | None
) -> Callable[[Path, str], Delivery]:
    """Return a function that makes the delivery ``store`` from a store and a reason."""
    return lambda store, reason: Delivery(
        store_destination.STORE,
        reason,
        lambda: register_in_store(package, locations, store, progress),
        lambda: store_destination.plan_store(package, store),
    )


def _pull_delivery(package: Package, daemon: Daemon, progress: Progress | None) -> Callable[[str], Delivery]:
    """Return a function that makes the delivery ``pull`` from a reason."""
    return lambda reason: Delivery(
        pull.PULL,
        reason,
        lambda: register_with_daemon(pull.pull_model, package, daemon, progress),
        lambda: pull.plan_pull(package, daemon),
    )


def _refuse_own_base(package: Package) -> None:
    """Raise RefusedError if the model has the name of its own base."""
    before = package.merged_from or package.base
    tag = before.tag
    if (package.merged_from or before.gguf is None) and tag and package.name.same_as(parse_name(tag)):
        raise RefusedError(
            f"{package.name} would replace its own base.",
            hint="--name NAME  chooses another name",
            code="own-base",
        )


def _check_parameters(package: Package) -> None:
    """Require parameters that Ollama accepts; those inherited from the base are not checked.

    Raises:
        InputError: a parameter is unknown or has the wrong type, and would make each request fail.
    """
    faults = [why for key, value in package.parameters.items() if (why := value_error(key, value))]
    if faults:
        raise InputError(
            bullet_list("Ollama would not accept these parameters.", faults), code="bad-parameter"
        )
