"""Registers a package with a daemon or in a store.

The model is proved under a temporary name first, and an earlier model of its name is kept as a version.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ollama_pack.deliver.base_check import digest_in
from ollama_pack.deliver.choose_store import require_access
from ollama_pack.deliver.create import create_model
from ollama_pack.deliver.history import replace_keeping_version, version_name
from ollama_pack.deliver.package import Package, Receipt
from ollama_pack.deliver.pull import pull_model
from ollama_pack.deliver.staging import prove_without_registering, replace_when_proved
from ollama_pack.deliver.store import write_to_store
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import may_answer
from ollama_pack.ollama.api_errors import AdapterRefusedError
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import store_of
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import DaemonModels, ModelRepository, StoreModels, find_model
from ollama_pack.ollama.names import parse_name


def register_with_daemon(
    run: Callable[[Package, Daemon, Progress | None], Receipt],
    package: Package,
    daemon: Daemon,
    progress: Progress | None,
) -> Receipt:
    """Deliver a package through a daemon; prove it if it has a gate, and keep the model that had its name.

    Args:
        run: the function that delivers the package to the daemon.
        package: the model.
        daemon: the daemon.
        progress: called while bytes are sent.

    Raises:
        ProofError: the base is not the one that was trained on, or the gate failed; an earlier model keeps
            its name.
        DestinationError: the delivery failed.
    """
    daemon.version()  # fails within seconds if nobody answers; other requests may take a daemon minutes
    models = DaemonModels(daemon)

    def put(staged: Package) -> Receipt:
        receipt = run(staged, daemon, progress)
        if staged.gate is not None:
            staged.gate(staged, daemon)
        return receipt

    if package.gate is None:
        receipt = replace_keeping_version(models, package.name, partial(put, package), progress)
    else:
        receipt = replace_when_proved(models, package, put, progress)
    return _with_base(receipt, package, models)


def _with_base(receipt: Receipt, package: Package, models: ModelRepository) -> Receipt:
    """Return a receipt with the digests of the base, which the lock file records."""
    base = None
    if package.base.gguf is None:
        with contextlib.suppress(DestinationError):
            base = find_model(models, parse_name(package.base.tag))
    blob = models.base_blob(package.name)
    return replace(receipt, base_manifest=base.digest if base else "", base_blob=blob)


def prove_with_daemon(package: Package, daemon: Daemon, progress: Progress | None = None) -> None:
    """Deliver a package to a daemon, prove it by its gate, and delete it there again.

    Args:
        package: the model; the daemon has its base.
        daemon: the daemon.
        progress: called while bytes are sent.

    Raises:
        ProofError: the base is not the one that was trained on, or the gate failed.
        DestinationError: the daemon takes the model neither by ``create`` nor by ``pull``.
    """

    def put(staged: Package) -> Receipt:
        try:
            # /api/create would rewrite a GGUF base, which `pull` leaves as it is.
            receipt = (pull_model if staged.base.gguf else create_model)(staged, daemon, progress)
        except AdapterRefusedError:
            receipt = pull_model(staged, daemon, progress)
        if staged.gate is not None:
            staged.gate(staged, daemon)
        return receipt

    prove_without_registering(DaemonModels(daemon), package, put, progress)


def with_recorded_base(
    receipt: Receipt, package: Package, store: Path | None, locations: OllamaLocations
) -> Receipt:
    """Return the receipt of a folder with the digests of the base that a store or a daemon here has.

    If the base is installed nowhere, or nobody answers, the receipt is returned as it is.

    Args:
        receipt: the receipt of the delivery ``folder``.
        package: the model.
        store: the store whose manifest of the base was used, or None.
        locations: the daemon and the stores to ask otherwise.
    """
    if package.base.gguf is not None:
        return receipt
    name = parse_name(package.base.tag)
    with contextlib.suppress(DestinationError), contextlib.ExitStack() as stack:
        models = StoreModels(store) if store else stack.enter_context(models_at(locations, name))
        if (base := find_model(models, name)) is not None:
            return replace(receipt, base_manifest=base.digest, base_blob=models.base_blob(base.name))
    return receipt


def register_in_store(
    package: Package, locations: OllamaLocations, store: Path, progress: Progress | None
) -> Receipt:
    """Write a package into a store; prove it if a daemon lists it, and keep the model that had its name.

    Args:
        package: the model.
        locations: the address of the daemon that may use the store.
        store: the store.
        progress: called while bytes are written.

    Raises:
        ProofError: the base is not the one that was trained on, or the gate failed; an earlier model keeps
            its name.
        DestinationError: the store is not writable, or the base is missing.
    """
    require_access(package, store, locations)

    def write(daemon: Daemon | None = None, *, served: bool = False) -> Receipt:
        models = StoreModels(store, served=served)

        def put(staged: Package) -> Receipt:
            check = None if daemon is None else partial(_prove_if_listed, staged, daemon)
            return write_to_store(staged, store, progress, check)

        if daemon is None:
            receipt = replace_keeping_version(models, package.name, partial(put, package), progress)
        else:
            receipt = replace_when_proved(models, package, put, progress)
        return _with_base(receipt, package, models)

    if not may_answer(locations.address):
        return write()
    with Daemon(locations.address) as daemon:
        if daemon.why_absent():
            return write()
        daemon.unload(package.name.display)
        receipt = write(daemon if package.gate else None, served=store_of(daemon, locations) == store)
        with contextlib.suppress(DestinationError):  # the model is registered, whatever the daemon answers
            daemon.unload(package.name.display)
            names = (package.name, version_name(package.name, receipt.digest))
            if any(digest_in(daemon, name) == receipt.digest for name in names):
                return replace(receipt, served=True)
            warning = _unlisted_note(package, daemon, locations, store)
            receipt = replace(receipt, lines=(*receipt.lines, warning))
    return receipt


def _prove_if_listed(staged: Package, daemon: Daemon, digest: str) -> None:
    """Let its gate prove a model in a store, unless the daemon uses another store and does not list it."""
    listed = ""
    with contextlib.suppress(DestinationError):  # A daemon that cannot list its models proves none.
        listed = digest_in(daemon, staged.place)
    if listed == digest and staged.gate is not None:
        staged.gate(staged, daemon)


def _unlisted_note(package: Package, daemon: Daemon, locations: OllamaLocations, store: Path) -> str:
    """Return the message for a model that is in `store` but that the daemon does not list."""
    own = store_of(daemon, locations._replace(stores=(store, *locations.stores)))
    elsewhere = own is not None and own.resolve() != store.resolve()
    made = package.adapter.digest if package.adapter else package.base.blob_digest()
    if elsewhere or not daemon.has_blob(made):
        return f"Ollama at {locations.shown} does not list the model: it uses another store"
    return f"Ollama at {locations.shown} does not list the model"
