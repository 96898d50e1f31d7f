"""Chooses the Ollama store, or the folder, that a package is written to."""

import shlex
from collections.abc import Callable
from pathlib import Path

from ollama_pack.deliver import store as store_destination
from ollama_pack.deliver.package import Package
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import may_answer
from ollama_pack.ollama.locations import (
    OllamaLocations,
    _store_is_writable,
    is_writable,
    sudo_prefix,
    unreadable_store_error,
)
from ollama_pack.ollama.store_layout import is_closed


def output_folder(places: OllamaLocations) -> Path:
    """Return the folder for files.

    Raises:
        DestinationError: none is named.
    """
    if places.folder is None:
        raise DestinationError("No folder is named.", hint="--out DIR")
    return places.folder


def store_for(package: Package, places: OllamaLocations, reason: str = "") -> Path:
    """Return the store to write into: one that has the base, for a GGUF base any that can be written.

    Raises:
        DestinationError: there is none; `reason` says why a store is looked for.
    """
    usable: Callable[[Path], bool] = _store_is_writable if package.base.gguf else _has_base_of(package)
    closed = [store for store in places.stores if is_closed(store)]
    if places.named and package.base.gguf and not closed:
        return places.stores[0]  # whether it can be written is asked where the command is known
    found = next((store for store in places.stores if store not in closed and usable(store)), None)
    if found is not None:
        return found
    if closed and (places.named or not package.base.gguf):
        raise unreadable_store_error(closed[0], reason)
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


def store_with_base(package: Package, places: OllamaLocations) -> Path | None:
    """Return the first store that has the base, None where none has."""
    readable = (store for store in places.stores if not is_closed(store))
    return next(filter(_has_base_of(package), readable), None)


def _has_base_of(package: Package) -> Callable[[Path], bool]:
    return lambda store: store_destination.has_base(store, package.base)


def require_access(package: Package, store: Path, places: OllamaLocations) -> None:
    """Require a store that can be written, or say which command would work.

    Raises:
        DestinationError: it cannot be.
    """
    if is_writable(store):
        return
    if may_answer(places.address):
        hint = "--via pull or --via create: the daemon writes into it then"
    else:
        folder, name = shlex.quote(str(package.adapter.path.parent)), shlex.quote(str(package.name))
        sudo = sudo_prefix(store) if store.exists() else "sudo"
        hint = f"{sudo} ollama-pack register {folder} {name} --via store --store {shlex.quote(str(store))}"
    raise DestinationError("This store may not be written by you.", where=store, hint=hint)
