"""What is proved of a file, what of it goes to Ollama, and what is told on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being moved, the bytes done and the bytes there are (0 where nobody knows)."""

Note: TypeAlias = Callable[[str, object], None]
"""Called with the name of a stage and the value it made, when it is done."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a proof found.

    Attributes:
        proof: which one, ``numbers``.
        passed: whether the figure keeps the limit.
        figure: the worst value found.
        limit: what it may be at most.
        summary: the line a person reads.
        worst: the tensor the figure belongs to.
    """

    proof: str
    passed: bool
    figure: float
    limit: float
    summary: str
    worst: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob of an Ollama model.

    Attributes:
        media_type: ``application/vnd.ollama.image.adapter`` and its like.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: in bytes.
        content: the bytes, for small layers.
        file: the file that holds them, for large ones.
        origin: the model or file it was taken from (``from`` in a manifest).
    """

    media_type: str
    digest: str
    size: int
    content: bytes | None = None
    file: Path | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a destination did.

    Attributes:
        via: which destination.
        name: the model, as a user would type it.
        digest: of the manifest, empty where a destination cannot know it.
        where: the place, in the user's words.
        bytes_written: moved or written; what was there already does not count.
        lines: what to say to the user, most important first.
        served: whether a running daemon lists the model by now.
        tried: ways in that were tried before and are closed, and why.
        base_manifest: digest of the base's manifest, 64 hexadecimal digits; empty where unknown.
        base_blob: ``sha256:…`` of the base's weights, empty where unknown.
    """

    via: str
    name: str
    digest: str
    where: str
    bytes_written: int
    lines: tuple[str, ...] = ()
    served: bool = False
    tried: tuple[str, ...] = ()
    base_manifest: str = ""
    base_blob: str = ""
