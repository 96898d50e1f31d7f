"""Finds where models are on this machine: the daemon's address, and the directories of model stores."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ollama_pack.disk.files import home_directory
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import parse_host
from ollama_pack.shown import shown_address

SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")
"""The store of the service that Ollama's installer for Linux sets up."""


class OllamaLocations(NamedTuple):
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
