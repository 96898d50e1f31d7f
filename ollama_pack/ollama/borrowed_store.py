"""Makes a temporary store with one model of a daemon, whose own store this user may not read.

The daemon pushes the model, weights and all, to a registry on loopback, which puts its blobs where a store
has them. Then whatever reads models in a store reads this one. See "A base that only a daemon holds is
pushed into a store of its own" in docs/decisions.md.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.disk.files import DRAFT, Progress, megabytes, os_errors_as_destination_error
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.loopback_registry import Server
from ollama_pack.ollama.manifest import Layer, parse_manifest
from ollama_pack.ollama.manifest_probe import pushed_manifest
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.push_registry import PushedModel, awaiting_push, push_into
from ollama_pack.ollama.store_layout import manifest_path

BORROWED = f"{DRAFT}base-"
"""How the name of a temporary store begins."""


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What a daemon says of a model before it sends it.

    Attributes:
        content: the bytes of its manifest.
        layers: its layers and its configuration.
    """

    content: bytes
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        """Return the number of bytes of all its blobs."""
        return sum({layer.digest: layer.size for layer in self.layers}.values())


@dataclass(frozen=True, slots=True)
class LendingDaemon:
    """A daemon that is ready to push a model.

    Attributes:
        daemon: the daemon.
        server: the registry that it pushes to.
        tag: the model.
        manifest: what it consists of.
    """

    daemon: Daemon
    server: Server
    tag: str
    manifest: PushedManifest

    def push(self, store: Path, progress: Progress | None = None) -> None:
        """Have the daemon push its model into a directory, which is a store with this model then.

        Raises:
            UnreachableError: the daemon cannot connect to this machine.
            DestinationError: the daemon does not push the model, or a blob cannot be written.
        """
        wanted = {layer.digest: layer.size for layer in self.manifest.layers}
        label = f"receiving {self.tag}"
        told = None if progress is None else lambda _name, done, total: progress(label, done, total)
        entry = manifest_path(store, parse_name(self.tag))
        with os_errors_as_destination_error(store):
            blobs = store / "blobs"
            blobs.mkdir()
            pushed = push_into(self.daemon, self.server, PushedModel(wanted, blobs), told)
            entry.parent.mkdir(parents=True)
            entry.write_bytes(self.manifest.content)
        lacking = [layer for layer in self.manifest.layers if layer.digest not in pushed.blobs]
        if lacking:
            raise DestinationError(
                f"The daemon did not send the {lacking[0].kind} of {self.tag} whole: its blob is damaged, or "
                "it is being sent to another registry.",
                where=f"{self.daemon.address}: {lacking[0].digest}",
                hint="the same command once nothing else pushes the model, or ollama pull to repair it",
                code="base-not-sent",
            )


@contextlib.contextmanager
def lending(daemon: Daemon, tag: str) -> Iterator[LendingDaemon]:
    """Ask a daemon what a model consists of, and have it ready to push the model while the block runs.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon has no such model, or does not push its manifest.
    """
    where = f"{daemon.address}: {tag}"
    with awaiting_push(daemon, tag) as server:
        content = pushed_manifest(daemon, server, where)
        config, layers = parse_manifest(content, where=where)
        yield LendingDaemon(daemon, server, tag, PushedManifest(content, (*layers, config)))


@contextlib.contextmanager
def temporary_store(folder: Path) -> Iterator[Path]:
    """Yield a new directory in `folder` for a store, and remove it when the block ends.

    What a killed run left in `folder` is removed first, so the caller must hold the lock of that folder. The
    folder is made if it does not exist, and removed again if nothing else is in it.

    Raises:
        DestinationError: the directory cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with os_errors_as_destination_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"{BORROWED}*"):
                shutil.rmtree(left, ignore_errors=True)
            made = Path(tempfile.mkdtemp(prefix=BORROWED, dir=folder))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # A directory with a file in it is not removed.
            for each in missing:
                each.rmdir()


def require_room(folder: Path, size: int, what: str) -> None:
    """Require that the disk of a directory has room for `size` more bytes.

    Args:
        folder: the directory.
        size: the number of bytes.
        what: what they are for, as a noun.

    Raises:
        DestinationError: there is less room.
    """
    with os_errors_as_destination_error(folder):
        free = shutil.disk_usage(folder).free
    if free < size:
        raise DestinationError(
            f"There is no room for {what}: {megabytes(size)} are needed, and {megabytes(free)} are free.",
            where=folder,
            hint="--out with a directory on another disk, or free some space",
            code="no-room",
        )
