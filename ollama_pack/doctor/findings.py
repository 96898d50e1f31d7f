"""The nouns of a checkup: what was seen of an Ollama, and what is wrong with it."""

from dataclasses import dataclass, field
from pathlib import Path

PROBLEM, MINOR = "problem", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not work, or may not.

    Attributes:
        level: ``problem`` or ``warning``.
        about: a model, a place or a program.
        what: is wrong with it.
        fix: what to do.
    """

    level: str
    about: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class WayIn:
    """Whether a model can be put there.

    Attributes:
        via: ``create``, ``pull`` or ``store``.
        open: whether it can.
        why: it is so.
    """

    via: str
    open: bool
    why: str


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """A model store on this machine.

    Attributes:
        path: of it.
        layout: ``manifests``, or ``manifests-v2`` as of Ollama 0.40.
        owner: the user it belongs to; empty where that has no name.
        writable: whether this user may write into it.
        free: bytes on its disk.
        models: how many are in it.
        adapted: names of those with an adapter.
    """

    path: Path
    layout: str
    owner: str
    writable: bool
    free: int
    models: int
    adapted: tuple[str, ...]


@dataclass(slots=True)
class Checkup:
    """What was seen.

    Attributes:
        address: of the daemon.
        version: it says; empty where none answers.
        trouble: why none does.
        ways: in.
        stores: the daemon's first.
        runner: ``llama-server``; None where it was not found.
        findings: problems first.
    """

    address: str
    version: str = ""
    trouble: str = "no Ollama daemon answers"
    ways: list[WayIn] = field(default_factory=list)
    stores: list[StoreSeen] = field(default_factory=list)
    runner: Path | None = None
    findings: list[Finding] = field(default_factory=list)
