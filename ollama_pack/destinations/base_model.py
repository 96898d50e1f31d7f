"""What a daemon has already, and what it lacks: the base, which is pulled, and what would be moved."""

from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.layers import check_format, stacked
from ollama_pack.destinations.package import Package, Plan
from ollama_pack.errors import DestinationError
from ollama_pack.names import ModelName
from ollama_pack.parts import Progress


def ready_base(tag: str, daemon: Daemon, progress: Progress | None) -> list[str]:
    """Have a base in the daemon, and return what to tell the user of it.

    Raises:
        DestinationError: it is not there and cannot be pulled.
        UnsupportedError: it would ignore an adapter.
    """
    lines = []
    shown = daemon.show(tag)
    if shown is None:
        _pull(tag, daemon, progress)
        lines.append(f"pulled {tag}")
        shown = daemon.show(tag)
    if shown is not None:
        check_format(tag, shown.format)
        if "\nADAPTER " in shown.modelfile:
            lines.append(stacked(tag))
    return lines


def digest_in(daemon: Daemon, name: ModelName) -> str:
    """Return the digest of the daemon's model of that name, empty if it has none.

    Raises:
        DestinationError: the daemon said no, or is not there.
    """
    wanted = name.display.lower()
    return next((model.digest for model in daemon.models() if model.name.lower() == wanted), "")


def plan_through(daemon: Daemon, package: Package, via: str) -> Plan:
    """Return what a way through the daemon would move; a GGUF base counts in full, since it is not read.

    Raises:
        DestinationError: the daemon said no, or is not there.
    """
    adapter = package.adapter
    items = [("adapter", 0 if daemon.has_blob(adapter.digest) else adapter.size)]
    if package.base.gguf is not None:
        items.append((f"base {package.base.gguf.name}, unless it is there", package.base.gguf.stat().st_size))
    elif daemon.show(package.base.tag) is None:
        items.append((f"ollama pull {package.base.tag}, of unknown size", 0))
    replaces = digest_in(daemon, package.name) != ""
    return Plan(via, str(package.name), daemon.address, tuple(items), replaces)


def _pull(tag: str, daemon: Daemon, progress: Progress | None) -> None:
    try:
        daemon.pull(tag, progress)
    except DestinationError as error:
        reason = error.what.removeprefix("The daemon says: ").rstrip(".")
        raise DestinationError(
            f"Ollama does not have {tag} and could not pull it ({reason}).",
            where=daemon.address,
            hint=f"ollama pull {tag} when there is a network, or --base FILE.gguf",
        ) from error
