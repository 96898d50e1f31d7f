"""Writes JSON that only its owner may read and write: what ollama-pack remembers for a user."""

import json
import os
import tempfile
from pathlib import Path

from ollama_pack.disk.files import DRAFT


def write_private_json(path: Path, document: object, indent: int | None = None) -> None:
    """Write a JSON document with the mode 0600, whole or not at all.

    Args:
        path: the file; its directory exists.
        document: what JSON can hold.
        indent: the spaces of each level; None for one line.

    Raises:
        OSError: it cannot be written.
    """
    number, draft = tempfile.mkstemp(prefix=DRAFT, dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=indent)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
