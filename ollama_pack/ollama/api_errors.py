"""What a daemon says when it says no, and what that means."""

from typing import TYPE_CHECKING

from ollama_pack.errors import DestinationError

if TYPE_CHECKING:
    import httpx


NO_ADAPTERS = "LoRA adapters are no longer supported"


class AdapterRefusedError(DestinationError):
    """The daemon no longer creates models with an adapter (Ollama 0.34.1 and later)."""


def said_no(reason: str, address: str) -> DestinationError:
    """Return the error that a daemon's reason means."""
    if NO_ADAPTERS.lower() in reason.lower():
        return AdapterRefusedError(
            "This Ollama no longer creates models with adapters; it still runs them.",
            where=address,
            hint="--via pull",
        )
    return DestinationError(f"The daemon says: {reason}", where=address)


def reason_of(answer: "httpx.Response") -> str:
    """Return the reason in a daemon's answer, or what it is made of."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:200]}"
