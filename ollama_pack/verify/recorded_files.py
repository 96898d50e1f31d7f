"""Prove that files are still those that a record names, by their SHA-256."""

from collections.abc import Mapping
from pathlib import Path

from ollama_pack.disk.files import Progress, sha256_of_file
from ollama_pack.errors import DestinationError
from ollama_pack.verify.result import ProofResult

SHOWN_NAMES = 5
"""The number of files that a summary names; more are counted."""


def prove_files(recorded: Mapping[Path, str], progress: Progress | None = None) -> ProofResult:
    """Return how many files are not those that were recorded; none may.

    Args:
        recorded: path → the digest that the record has for it, ``sha256:…``.
        progress: called while a file is read.
    """
    wrong: dict[str, str] = {}
    for path, digest in recorded.items():
        try:
            if sha256_of_file(path, progress) != digest:
                wrong[path.name] = "has changed since it was recorded"
        except DestinationError:
            wrong[path.name] = "is missing, or cannot be read"
    if wrong:
        summary = "; ".join(f"{name} {why}" for name, why in wrong.items())
    else:
        names = [path.name for path in recorded]
        shown = names if len(names) <= SHOWN_NAMES else [f"{len(names)} files"]
        summary = f"{', '.join(shown)}: as recorded"
    return ProofResult("files", not wrong, float(len(wrong)), 0.0, summary, next(iter(wrong), ""))
