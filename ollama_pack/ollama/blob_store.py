"""One store's blobs while a model is put there: the manifest last, and nothing left behind on failure.

A blob is a file named after the SHA-256 of its bytes. When Ollama starts it removes blobs that no manifest
names and that are older than an hour; so blobs are new files here, and their manifest follows at once.
"""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ollama_pack.errors import DestinationError
from ollama_pack.files import (
    Progress,
    copy_hashing,
    os_errors_as_destination_error,
    remove_stale_drafts,
    whole_file,
)
from ollama_pack.ollama.manifest import MODEL_TYPE, Layer
from ollama_pack.ollama.names import ModelName
from ollama_pack.ollama.reflink import clone, link
from ollama_pack.ollama.store_layout import (
    NEWER,
    blob_path,
    corrupt_blob,
    digest_of_bytes,
    is_newer,
    link_manifest,
    manifest_path,
    manifest_texts,
    newer_path,
)


@dataclass(slots=True)
class StoreTransaction:
    """A store's blobs, to be used with ``with``: what was added is taken back when the block fails.

    Attributes:
        store: the directory with ``blobs/`` and ``manifests/``.
        progress: told about every byte moved.
        added: blobs that were not there before.
        written: bytes moved; clones and links count nothing.
        lines: what to tell the user.
    """

    store: Path
    progress: Progress | None = None
    added: list[Path] = field(default_factory=list)
    written: int = 0
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> "StoreTransaction":
        self._directory(self.store / "blobs")
        self._directory(self.store / "manifests")
        for folder in ("manifests", NEWER):  # drafts of blobs are tidied by Ollama
            remove_stale_drafts(self.store / folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not self.added:
            return
        named = "".join(manifest_texts(self.store))  # somebody else may have come to need a blob of ours
        for blob in self.added:
            if blob.name.replace("-", ":") not in named:
                with contextlib.suppress(OSError):
                    blob.unlink(missing_ok=True)

    def add(self, layer: Layer) -> None:
        """Put a layer's bytes into the store, unless they are there; what is damaged is written anew.

        Raises:
            DestinationError: they cannot be written, or are not what the digest promises.
        """
        target = blob_path(self.store, layer.digest)
        known = target.is_file()
        there = known and target.stat().st_size == layer.size
        if there and (layer.media_type == MODEL_TYPE or not corrupt_blob(target)):
            with contextlib.suppress(OSError):  # only its owner may: then a manifest of the owner's holds it
                os.utime(target)
        elif layer.content is not None:
            with whole_file(target) as file:
                file.write(layer.content)
            self._keep(target, layer.size, known=known)
        elif layer.file is not None:
            self._keep(target, self._copy(layer.file, target, layer.digest), known=known)
        else:
            raise DestinationError(
                "A part of the base is damaged."
                if there
                else "A part of the base is missing from the store.",
                where=target,
                hint="rm that file, and ollama pull the base again" if there else "",
            )

    def import_file(self, layer: Layer) -> None:
        """Put the bytes of a large file into the store: cloned, else linked, else copied.

        Raises:
            DestinationError: it cannot be written, or changed in the meantime.
        """
        target = blob_path(self.store, layer.digest)
        if layer.file is None or target.exists():
            return self.add(layer)
        before = layer.file.stat()
        if clone(layer.file, target):
            self.lines.append(f"base cloned from {layer.file}: it takes no room of its own")
            self._keep(target, 0)
        elif link(layer.file, target):
            self.lines.append(
                f"base linked to {layer.file}: move or delete that file as you like, but never edit it"
            )
            self.added.append(target)
        else:
            self._keep(target, self._copy(layer.file, target, layer.digest))
        after = layer.file.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise DestinationError("The base was changed while it was read.", where=layer.file)
        return None

    def write_manifest(self, name: ModelName, manifest: bytes, layers: tuple[Layer, ...]) -> Path:
        """Write the manifest: from here on the model exists.

        Raises:
            DestinationError: it cannot be written, or a daemon that has just started removed a blob.
        """
        target = manifest_path(self.store, name)
        self._directory(target.parent)
        if is_newer(self.store):
            self._directory(newer_path(self.store, name).parent)
            kept = Layer("", digest_of_bytes(manifest), len(manifest), content=manifest)
            self.add(kept)
            layers = (*layers, kept)
        missing = [layer for layer in layers if not blob_path(self.store, layer.digest).exists()]
        if missing:
            raise DestinationError(
                "Ollama tidied its store at this very moment.",
                where=blob_path(self.store, missing[0].digest),
                hint="the same command once more",
            )
        with whole_file(target, temporary_in=self.store / "manifests") as file:
            file.write(manifest)
        self._give(target)
        if is_newer(self.store):  # the entry that wins comes last
            self._give(link_manifest(self.store, name, digest_of_bytes(manifest)))
        self.written += len(manifest)
        return target

    def _copy(self, source: Path, target: Path, digest: str) -> int:
        with source.open("rb") as reader, whole_file(target) as writer:
            found = copy_hashing(reader, writer, f"copying {source.name}", self.progress)
            if found != digest:
                raise DestinationError(f"The file is not what it was: {digest} was expected.", where=source)
        return target.stat().st_size

    def _keep(self, target: Path, written: int, *, known: bool = False) -> None:
        if not known:  # a damaged blob that was mended stays, whatever comes: other models may name it
            self.added.append(target)
        self.written += written
        self._give(target)

    def _directory(self, path: Path) -> None:
        with os_errors_as_destination_error(path):
            missing = [p for p in (path, *path.parents) if not p.exists()]
            for directory in reversed(missing):
                directory.mkdir(exist_ok=True)
                directory.chmod(0o755)
                self._give(directory)

    def _give(self, path: Path) -> None:
        """Let root's files belong to the owner of the store: the daemon must touch and remove them."""
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            with contextlib.suppress(OSError):
                owner = (path.parent if path.is_dir() else self.store).stat()
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
