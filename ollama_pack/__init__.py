"""Turn a PEFT LoRA adapter into a model that runs in Ollama, exactly as it was trained."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ollama_pack.errors import (
        DestinationError,
        InputError,
        PackError,
        ProofError,
        RefusedError,
        UnsupportedError,
    )
    from ollama_pack.pipeline.build import build
    from ollama_pack.pipeline.request import Request

__version__ = "0.1.0"

_HOMES = {
    "DestinationError": "ollama_pack.errors",
    "InputError": "ollama_pack.errors",
    "PackError": "ollama_pack.errors",
    "ProofError": "ollama_pack.errors",
    "RefusedError": "ollama_pack.errors",
    "Request": "ollama_pack.pipeline.request",
    "UnsupportedError": "ollama_pack.errors",
    "build": "ollama_pack.pipeline.build",
}
"""Public name → the module that defines it. It is imported when the name is first used, so that the command
line stays instant."""

__all__ = [
    "DestinationError",
    "InputError",
    "PackError",
    "ProofError",
    "RefusedError",
    "Request",
    "UnsupportedError",
    "__version__",
    "build",
]


def __getattr__(name: str) -> object:
    """Return a public name, and import what defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
