"""The types of a checkup: the state of an Ollama, and what is wrong with it."""

from dataclasses import dataclass, field
from pathlib import Path

PROBLEM, MINOR = "problem", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not work, or that may cause trouble.

    Attributes:
        level: ``problem`` or ``warning``.
        about: the model, store, program or address that the finding is about.
        what: a clause that says what is wrong.
        fix: a command or an option that helps.
    """

    level: str
    about: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class DeliveryCheck:
    """Whether a model can be delivered by ``--via`` create, pull or store.

    Attributes:
        via: ``create``, ``pull`` or ``store``.
        open: whether this delivery would work.
        why: the reason, as a clause.
    """

    via: str
    open: bool
    why: str


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """The state of a model store on this machine.

    Attributes:
        path: the directory of the store.
        layout: ``manifests``, or ``manifests-v2`` since Ollama 0.40.
        owner: the name of the user who owns the store, or an empty string if that user has no name.
        writable: whether the current user may write into the store.
        free: the number of free bytes on its disk.
        models: the number of models in the store.
        adapted: the names of the models that have an adapter.
        merged: the names of the models into whose weights an adapter was merged.
    """

    path: Path
    layout: str
    owner: str
    writable: bool
    free: int
    models: int
    adapted: tuple[str, ...]
    merged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Whether a daemon can run a model.

    Attributes:
        works: whether it can, or None if it was not asked.
        why: the reason, as a clause.
    """

    works: bool | None
    why: str


@dataclass(slots=True)
class Checkup:
    """The state of an Ollama, and what is wrong with it.

    Attributes:
        address: the address of the daemon.
        version: the version of the daemon, or an empty string if none answers.
        trouble: why no daemon answers, as a clause.
        ways: whether each delivery would work.
        stores: the stores that were found; the daemon's own comes first.
        runner: whether the daemon can run a model.
        findings: what is wrong; problems come before warnings.
    """

    address: str
    version: str = ""
    trouble: str = "no Ollama daemon answers"
    ways: list[DeliveryCheck] = field(default_factory=list)
    stores: list[StoreSeen] = field(default_factory=list)
    runner: RunCheck = RunCheck(None, "no daemon to ask")
    findings: list[Finding] = field(default_factory=list)
