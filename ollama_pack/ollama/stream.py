"""Sends a file to a daemon in pieces, and reads the status lines that a daemon sends while it works."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError

UPLOAD_CHUNK = 1 << 20


def file_pieces(path: Path, size: int, progress: Progress | None) -> Iterator[bytes]:
    """Yield the content of a file in pieces, and report progress."""
    done = 0
    with path.open("rb") as source:
        while chunk := source.read(UPLOAD_CHUNK):
            done += len(chunk)
            yield chunk
            if progress is not None:
                progress(f"sending {path.name}", done, size)


def follow_stream(parts: Iterator[Any], label: str, progress: Progress | None) -> None:
    """Read a stream of status lines to its end; raise a DestinationError if the last is not ``success``.

    HTTP status 200 is sent before the work starts, so it does not mean that the request succeeded.
    """
    last = ""
    for part in parts:
        last = str(part.get("status") or "")
        if progress is not None:
            progress(f"{label}: {last}", int(part.get("completed") or 0), int(part.get("total") or 0))
    if last != "success":
        raise DestinationError(f"The daemon stopped while {label}; its last status was {last!r}.")
