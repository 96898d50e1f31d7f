"""Decides who makes the load proof, and makes the one that a model must pass before it takes its name."""

from typing import TYPE_CHECKING

from ollama_pack.disk.files import Note
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.prompt.sent import version_of_daemon
from ollama_pack.pipeline.request import Request

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Gate, Package
    from ollama_pack.ollama.daemon import Daemon
    from ollama_pack.ollama.locations import OllamaLocations


def loads_here(request: Request, locations: "OllamaLocations") -> bool:
    """Return whether llama.cpp makes the load proof: the user asks for it, and no daemon answers that can."""
    return request.load_here and (request.via == "folder" or version_of_daemon(locations) is None)


def load_gate(request: Request, note: Note = silent) -> "Gate | None":
    """Return the load proof that a model must pass before it takes its name, or None if it is left out.

    Args:
        request: says whether the proof runs, and whether the adapter may change nothing.
        note: called with ``proof`` and the result.
    """
    if not request.load:
        return None

    def prove(package: "Package", daemon: "Daemon") -> None:
        from ollama_pack.deliver.load_check import check_load

        note("proof", check_load(package, daemon, allow_noop=request.allow_noop))

    return prove
