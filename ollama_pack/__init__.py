"""Turn a PEFT LoRA adapter into a model that runs in Ollama, exactly as it was trained.

These names are the public interface; docs/api.md lists them with their documentation. Everything else may
change from one version to the next.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Receipt
    from ollama_pack.errors import (
        DestinationError,
        InputError,
        PackError,
        ProofError,
        RefusedError,
        UnsupportedError,
        UsageError,
    )
    from ollama_pack.lora.adapter import Adapter
    from ollama_pack.lora.peft.load import read_adapter
    from ollama_pack.pipeline.build import Outcome, build, plan_build
    from ollama_pack.pipeline.register import register
    from ollama_pack.pipeline.request import Request
    from ollama_pack.pipeline.verify import verify_release
    from ollama_pack.verify.result import ProofResult

__version__ = "0.1.0"

_HOMES = {
    "Adapter": "lora.adapter",
    "DestinationError": "errors",
    "InputError": "errors",
    "Outcome": "pipeline.build",
    "PackError": "errors",
    "ProofError": "errors",
    "ProofResult": "verify.result",
    "Receipt": "deliver.package",
    "RefusedError": "errors",
    "Request": "pipeline.request",
    "UnsupportedError": "errors",
    "UsageError": "errors",
    "build": "pipeline.build",
    "plan_build": "pipeline.build",
    "read_adapter": "lora.peft.load",
    "register": "pipeline.register",
    "verify_release": "pipeline.verify",
}
"""Public name → the module that defines it. It is imported when the name is first used, so that `--help`
stays instant."""

__all__ = [
    "Adapter",
    "DestinationError",
    "InputError",
    "Outcome",
    "PackError",
    "ProofError",
    "ProofResult",
    "Receipt",
    "RefusedError",
    "Request",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "build",
    "plan_build",
    "read_adapter",
    "register",
    "verify_release",
]


def __getattr__(name: str) -> object:
    """Return a public name, and import the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
