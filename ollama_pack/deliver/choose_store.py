"""Chooses the Ollama store, or the folder, that a package is written to."""

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path

from ollama_pack.deliver import store as store_destination
from ollama_pack.deliver.create import CREATE, surely_refuses
from ollama_pack.deliver.package import Package
from ollama_pack.deliver.pull import PULL
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import is_near, may_answer
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.store_access import is_writable, sudo_prefix, unreadable_store_error
from ollama_pack.ollama.store_layout import is_closed


def output_folder(locations: OllamaLocations) -> Path:
    """Return the folder that the delivery ``folder`` writes into.

    Raises:
        DestinationError: the locations name no folder.
    """
    if locations.folder is None:
        raise DestinationError("No output folder is named.", hint="--out DIR")
    return locations.folder


def store_for(package: Package, locations: OllamaLocations, reason: str = "") -> Path:
    """Return the store to write into: the first that has the base, or for a GGUF base the first writable one.

    Args:
        package: the model.
        locations: the stores to choose from.
        reason: why a store is needed; the error message begins with it.

    Raises:
        DestinationError: no store is suitable.
    """
    usable: Callable[[Path], bool] = is_writable if package.base.gguf else _has_base_of(package)
    closed = [store for store in locations.stores if is_closed(store)]
    if locations.named and package.base.gguf and not closed:
        return locations.stores[0]  # `require_access` checks later whether it is writable
    suitable = next((store for store in locations.stores if store not in closed and usable(store)), None)
    if suitable is not None:
        return suitable
    if closed and (locations.named or not package.base.gguf):
        raise unreadable_store_error(closed[0], reason, _way_by_daemon(package, locations))
    searched = ", ".join(map(str, locations.stores))
    missing = "is writable" if package.base.gguf else f"has {package.base.tag}"
    prefix = f"{reason[:1].upper()}{reason[1:]}, and no" if reason else "No"
    raise DestinationError(
        f"{prefix} Ollama store here {missing}.",
        where=searched,
        hint="--via folder, or OLLAMA_MODELS=DIR" if package.base.gguf else _ways_to_a_base(package.base.tag),
        code="no-store",
    )


def _ways_to_a_base(tag: str) -> str:
    """Return the hint if no store has the base; for a name not in the catalog, it proposes a similar name."""
    from ollama_pack.base.lookup import find_variant, similar_ids

    pull = f"ollama serve, then ollama pull {shlex.quote(tag)}; or --via folder"
    similar = similar_ids(tag, 1) if "/" not in tag and find_variant(tag) is None else ()
    return f"--base {shlex.quote(similar[0])}  if that is meant; else {pull}" if similar else pull


def store_with_base(package: Package, locations: OllamaLocations) -> Path | None:
    """Return the first readable store that has the base, or None if no store has it."""
    readable = (store for store in locations.stores if not is_closed(store))
    return next(filter(_has_base_of(package), readable), None)


def _has_base_of(package: Package) -> Callable[[Path], bool]:
    """Return a function that returns whether a store has the base of `package`."""
    return lambda store: store_destination.has_base(store, package.base)


def _way_by_daemon(package: Package, locations: OllamaLocations) -> str:
    """Return the option that has a running daemon register a model, or an empty text if that would not work.

    A daemon on another machine cannot pull the model from this one.
    """
    if not may_answer(locations.address):
        return ""
    with Daemon(locations.address) as daemon, contextlib.suppress(DestinationError):
        refuses = surely_refuses(daemon)
        via = PULL if is_near(locations.address) else "" if refuses else CREATE
        if via and (package.base.gguf is not None or daemon.show(package.base.tag) is not None):
            option = f"--via {via}, without --store," if locations.named else f"--via {via}"
            return f"{option}  lets Ollama at {locations.shown} register the model"
    return ""


def require_access(package: Package, store: Path, locations: OllamaLocations) -> None:
    """Require that this user may write into `store`.

    Raises:
        DestinationError: the user may not; the hint is a command that would work.
    """
    if is_writable(store):
        return
    if store.is_file():
        raise DestinationError(
            "This is a file, not a model store.", where=store, hint="--store DIR", code="store-not-writable"
        )
    hint = _way_by_daemon(package, locations)
    if not hint:
        folder, name = shlex.quote(str(package.file.parent)), shlex.quote(str(package.name))
        sudo = sudo_prefix(store) if store.exists() else "sudo"
        hint = f"{sudo} ollama-pack register {folder} {name} --via store --store {shlex.quote(str(store))}"
    raise DestinationError(
        "You may not write into this store.", where=store, hint=hint, code="store-not-writable"
    )
