"""Turns the error messages of a daemon into errors of this package."""

from typing import TYPE_CHECKING

from ollama_pack.errors import DestinationError
from ollama_pack.formats.untrusted_json import as_text, parse_object
from ollama_pack.shown import words_of

if TYPE_CHECKING:
    import httpx


NO_ADAPTERS = "LoRA adapters are no longer supported"
"""Part of the error with which ``/api/create`` rejects adapters (``server/create.go``)."""


_ENDS_EARLY = ("EOF", "unexpected EOF", "unexpected end of JSON input")
"""What a daemon answers if a manifest ends before its JSON does."""


class AdapterRefusedError(DestinationError):
    """The daemon cannot create models with an adapter (Ollama 0.34.1 and later)."""


class UnreachableError(DestinationError):
    """The daemon cannot connect to this machine, because it runs on another one or in a container."""


class EmptyManifestError(DestinationError):
    """The daemon found an empty manifest; it does not list such a model, and does not delete it."""


def did_not_come(address: str) -> UnreachableError:
    """Return the error for a daemon at `address` that sent no request to the registry of this process."""
    return UnreachableError(
        "The daemon did not request the model: it cannot connect to the loopback interface of this machine.",
        where=address,
        hint="if the daemon runs in a container, run ollama-pack there, or use the network of the host",
    )


def daemon_error(reason: str, address: str) -> DestinationError:
    """Return the error for a request that the daemon at `address` rejected, giving `reason`."""
    reason = words_of(reason)
    if NO_ADAPTERS.lower() in reason.lower():
        return AdapterRefusedError(
            "This Ollama no longer creates models with adapters; it still runs them.",
            where=address,
            hint="--via pull",
        )
    if reason in _ENDS_EARLY:
        return EmptyManifestError(
            f"The daemon found a manifest that is empty or cut off ({reason}), as a full disk leaves it.",
            where=address,
            hint="ollama-pack doctor, which names the file",
            code="empty-manifest",
        )
    return DestinationError(f"The daemon says: {reason}", where=address)


def error_message(answer: "httpx.Response") -> str:
    """Return the ``error`` field of a daemon's response, or its status code and the start of its text."""
    try:
        return as_text(parse_object(answer.content).get("error"), "error")
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"


def no_daemon(address: str) -> DestinationError:
    """Return the error for an address at which nobody answers."""
    return DestinationError(
        "No Ollama daemon answers.",
        where=address,
        hint="start it with ollama serve, or set OLLAMA_HOST=HOST:PORT",
        code="no-daemon",
    )
