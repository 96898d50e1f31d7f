"""The gate before a name: a model is proved under another name, and takes its own only if the proof holds.

The name for the proof exists for seconds: ``ada:latest-unproved-1a2b3c4d``. Its model part is the same,
because Ollama chooses some prompt renderers by the name. A run that is killed leaves it behind; the next
delivery of the model deletes it, and ``doctor`` names it. See "A model is proved before it takes its name" in
docs/decisions.md.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from ollama_pack.deliver.history import SHORT_DIGEST, name_with_ending, replace_current
from ollama_pack.deliver.package import Gate, Package, Receipt
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.models import InstalledModel, ModelRepository, find_model
from ollama_pack.ollama.name_lock import name_lock
from ollama_pack.ollama.names import ModelName, parse_name

UNPROVED = "unproved-"
_UNPROVED = re.compile(rf".*-{UNPROVED}[0-9a-f]{{{SHORT_DIGEST}}}", re.IGNORECASE)


def is_unproved(name: ModelName) -> bool:
    """Return whether this is the name of a model that waits for its proof, which exists for seconds only."""
    return _UNPROVED.fullmatch(name.tag) is not None


def replace_when_proved(
    models: ModelRepository,
    package: Package,
    put: Callable[[Package], Receipt],
    progress: Progress | None = None,
) -> Receipt:
    """Deliver and prove a model under a temporary name, and give it its real name only if the proof holds.

    The model that has the name is kept as a version, as `replace_keeping_version` does.

    Args:
        models: the daemon or the store that gets the model.
        package: the model.
        put: delivers a package as its ``place``, and calls its gate.
        progress: called while this process waits for another one that changes the name.

    Raises:
        ProofError: the proof failed; an earlier model keeps its name.
        PackError: `put` failed; the previous model still has its name, or is kept as a version.
    """
    name = package.name
    with _staged(models, package, progress) as (staged, current):
        receipt = put(replace(staged, gate=_gate_telling_what_stays(package, current)))
        if current is not None and current.digest == receipt.digest:
            return receipt
        target = parse_name(receipt.name)  # as the daemon or the store spells it

        def take_name() -> Receipt:
            models.unload(target)
            models.copy(replace(target, tag=staged.place.tag), target)
            models.unload(target)
            return receipt

        return replace_current(models, name, take_name)


def prove_without_registering(
    models: ModelRepository,
    package: Package,
    put: Callable[[Package], Receipt],
    progress: Progress | None = None,
) -> None:
    """Deliver and prove a model under a temporary name, and delete that name again.

    Args:
        models: the daemon that gets the model for the time of the proof.
        package: the model.
        put: delivers a package as its ``place``, and calls its gate.
        progress: called while this process waits for another one that changes the name.

    Raises:
        ProofError: the proof failed.
        DestinationError: the model could not be delivered.
    """
    with _staged(models, package, progress) as (staged, _current):
        put(staged)


@contextlib.contextmanager
def _staged(
    models: ModelRepository, package: Package, progress: Progress | None
) -> Iterator[tuple[Package, InstalledModel | None]]:
    """Yield the package under the name for its proof, and the model that has its real name."""
    name = package.name
    with name_lock(name, progress):
        _remove_unproved(models, name)
        current = find_model(models, name)
        ending = f"{UNPROVED}{os.urandom(SHORT_DIGEST // 2).hex()}"
        try:
            yield (
                replace(package, staged_as=name_with_ending(current.name if current else name, ending)),
                current,
            )
        finally:
            _remove_unproved(models, name)


def _gate_telling_what_stays(package: Package, current: InstalledModel | None) -> Gate:
    """Return the gate of a package; its error also says which model the name stands for after the failure."""
    stays = f"still means the model {current.digest[:12]}" if current else "was not registered"

    def prove(staged: Package, daemon: Daemon) -> None:
        try:
            if package.gate is not None:
                package.gate(staged, daemon)
        except ProofError as error:
            what = f"{error.what} {package.name} {stays}."
            raise ProofError(
                what, where=error.where, hint=error.hint, subjects=error.subjects, code=error.code
            ) from error

    return prove


def _remove_unproved(models: ModelRepository, name: ModelName) -> None:
    """Delete the temporary names under which versions of a model were proved; a failure is ignored.

    The caller holds the lock of the name, so no other process still uses them.
    """
    with contextlib.suppress(DestinationError):
        for entry in list(models.entries()):
            ending = entry.name.tag[-len(UNPROVED) - SHORT_DIGEST :]
            if is_unproved(entry.name) and entry.name.same_as(name_with_ending(name, ending)):
                models.delete(entry.name)
