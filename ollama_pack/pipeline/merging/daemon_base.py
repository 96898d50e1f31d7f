"""Gets the weights of a base that only a daemon can read, for as long as a merge needs them."""

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ollama_pack.base.file_digest import FileDigest
from ollama_pack.base.installed import base_with_file
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.image import check_kind
from ollama_pack.deliver.leftovers import remove_leftovers
from ollama_pack.disk.files import Note, Progress, megabytes
from ollama_pack.errors import DestinationError, UsageError
from ollama_pack.ollama.address import is_near
from ollama_pack.ollama.api_errors import UnreachableError
from ollama_pack.ollama.borrowed_store import lending, require_room, temporary_store
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.daemon_store import store_with
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import DaemonModels, find_model
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.inherit import adapted_base_error
from ollama_pack.pipeline.prepare import BaseReceiver, silent

_BY_FILE = "--base FILE.gguf, with the GGUF file of that model"


@contextlib.contextmanager
def receiving_bases(
    locations: OllamaLocations, folder: Path, note: Note = silent, progress: Progress | None = None
) -> Iterator[BaseReceiver]:
    """Yield a function that has a daemon send the weights of a base; they are removed when the block ends.

    The function returns a base as it is if it has a file, or if no daemon is to be asked for it.

    Args:
        locations: the daemon's address and the stores on this machine.
        folder: the directory in which a temporary directory holds the weights; its lock is held.
        note: called before the daemon sends anything, with what it sends and where to.
        progress: called while it sends.
    """
    with contextlib.ExitStack() as running:
        place = _TemporaryPlace(folder, note, progress, running)
        yield lambda base: _held_by_daemon(base, locations, place)


def looking_for_bases(locations: OllamaLocations, note: Note = silent) -> BaseReceiver:
    """Return a function that finds the file of a base as `receiving_bases` does, but has nothing sent.

    It raises the errors of the sending that are known beforehand. A base that a daemon would have to send is
    returned without a file.

    Args:
        locations: the daemon's address and the stores on this machine.
        note: called with what a daemon would have to send.
    """
    return lambda base: _held_by_daemon(base, locations, note)


def _held_by_daemon(
    base: BaseModel, locations: OllamaLocations, place: "_TemporaryPlace | Note"
) -> BaseModel:
    """Return a base with its file, if it has none and a daemon is to be asked for it."""
    if base.gguf is not None or not base.tag:
        return base
    try:
        with models_at(locations, parse_name(base.tag)) as models:
            if isinstance(models, DaemonModels):
                return _of_daemon(models, locations, base, place)
    except DestinationError as error:
        if error.code != "no-store":
            raise
    return base


@dataclass(frozen=True, slots=True)
class _TemporaryPlace:
    """Where weights that a daemon sends are kept, who is told of it, and until when."""

    folder: Path
    note: Note
    progress: Progress | None
    running: contextlib.ExitStack = field(repr=False)


def _of_daemon(
    models: DaemonModels, locations: OllamaLocations, base: BaseModel, place: _TemporaryPlace | Note
) -> BaseModel:
    """Return a base with its file: in the daemon's store if that can be read here, else as it was sent.

    If `place` is only a note, it is told what would be sent, and nothing is sent.

    Raises:
        UsageError: the daemon does not have the base.
        UnsupportedError: the base is no GGUF model of the daemon's machine, or has an adapter itself.
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon does not send it, or there is no room for it.
    """
    daemon, tag = models.daemon, base.tag
    entry, shown = find_model(models, parse_name(tag)), daemon.show(tag)
    if entry is None or shown is None:
        raise UsageError(
            f"The daemon does not have {tag}, and merging needs its weights.",
            where=daemon.address,
            hint=f"ollama pull {shlex.quote(tag)}  and the same command again; or {_BY_FILE}",
            code="base-no-file",
        )
    check_kind(tag, shown.format, shown.remote)
    if shown.has_adapter:
        raise adapted_base_error(tag)
    store = store_with(daemon, entry.name, entry.digest, locations)
    if store is not None:
        return base_with_file(locations._replace(stores=(store,)), base)
    if not is_near(daemon.address):
        raise UnreachableError(
            f"The daemon is on another machine, so it cannot send {tag} to the loopback of this one.",
            where=daemon.address,
            hint=f"{_BY_FILE}; or the same command on the machine of the daemon",
            code="base-elsewhere",
        )
    if isinstance(place, _TemporaryPlace):
        return _sent(models, base, locations, place)
    place(
        "base", f"only Ollama at {daemon.address} can read the weights of {tag}, so a build has it send them"
    )
    return replace(base, temporary=True)


def _sent(
    models: DaemonModels, base: BaseModel, locations: OllamaLocations, place: _TemporaryPlace
) -> BaseModel:
    """Have a daemon on this machine send a base, and return it with its file."""
    daemon, tag = models.daemon, base.tag
    remove_leftovers(daemon)
    store = place.running.enter_context(temporary_store(place.folder))
    try:
        with lending(daemon, tag) as lent:
            size = lent.manifest.size
            require_room(place.folder, 2 * size, f"{tag} and a merged model of its size")
            place.note(
                "base",
                f"only Ollama at {daemon.address} can read the weights of {tag}: it sends {megabytes(size)} "
                f"into {place.folder}, and they are removed after the merge",
            )
            lent.push(store, place.progress)
    except UnreachableError as error:
        raise UnreachableError(
            f"The daemon cannot send {tag}: it does not reach the loopback interface of this machine.",
            where=error.where,
            hint=f"{_BY_FILE}; or, if the daemon runs in a container, run ollama-pack there, or use the "
            "network of the host",
            code="base-elsewhere",
        ) from error
    found = base_with_file(locations._replace(stores=(store,)), base)
    if found.gguf is None:
        return found
    known = found.gguf.name.replace("-", ":", 1)  # its bytes were hashed as they came
    digest = FileDigest(found.gguf, known=known)
    return replace(found, origin=f"{tag} in {daemon.address}", digest=digest, temporary=True)
