"""Writes a model into an Ollama store: blobs first, the manifest last, and nothing is left after a failure.

A blob is a file named after the SHA-256 of its bytes. When Ollama starts, it removes blobs that no manifest
names and that are older than an hour (``server/images.go``, ``PruneLayers``). So every blob gets a new time
stamp here, and its manifest follows at once. See "What a failed delivery added is taken back" in
docs/decisions.md.
"""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ollama_pack.disk.files import (
    Progress,
    copy_hashing,
    os_errors_as_destination_error,
    regular_file,
    remove_stale_drafts,
    whole_file,
)
from ollama_pack.errors import DestinationError
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
    """Adds a model to a store in a ``with`` block, and removes the blobs it added if the block fails.

    Attributes:
        store: the directory with ``blobs/`` and ``manifests/``.
        progress: called with the number of bytes that are copied, or None.
        added: the blobs that did not exist before.
        written: the number of bytes written; clones and links count as 0.
        lines: the sentences to show to the user.
    """

    store: Path
    progress: Progress | None = None
    added: list[Path] = field(default_factory=list)
    written: int = 0
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> "StoreTransaction":
        self._directory(self.store / "blobs")
        self._directory(self.store / "manifests")
        for folder in ("manifests", NEWER):  # Ollama itself removes drafts of blobs.
            remove_stale_drafts(self.store / folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not self.added:
            return
        # Another process may have written a manifest that names one of our blobs in the meantime.
        named = "".join(manifest_texts(self.store))
        for blob in self.added:
            if blob.name.replace("-", ":") not in named:
                with contextlib.suppress(OSError):
                    blob.unlink(missing_ok=True)

    def add(self, layer: Layer) -> None:
        """Write the blob of a layer, unless the store has it; a damaged blob is written again.

        An existing model blob is trusted by its size, because hashing gigabytes would take too long.

        Raises:
            DestinationError: the blob cannot be written, its bytes do not match the digest, or a blob of the
                base is missing or damaged.
        """
        target = blob_path(self.store, layer.digest)
        known = target.is_file()
        complete = known and target.stat().st_size == layer.size
        if complete and (layer.media_type == MODEL_TYPE or not corrupt_blob(target)):
            # Only the owner may set the time. If that fails, a manifest of the owner's protects the blob. A
            # blob with a second hard link is a file of the user's, too, whose time stays.
            with contextlib.suppress(OSError):
                if target.stat().st_nlink == 1:
                    os.utime(target)
        elif layer.content is not None:
            with whole_file(target) as file:
                file.write(layer.content)
            self._record(target, layer.size, known=known)
        elif layer.file is not None:
            self._record(target, self._copy(layer.file, target, layer.digest), known=known)
        else:
            raise DestinationError(
                "A blob of the base is damaged."
                if complete
                else "A blob of the base is missing from the store.",
                where=target,
                hint="delete that file, then run ollama pull for the base" if complete else "",
            )

    def import_file(self, layer: Layer) -> None:
        """Add the file of a large layer as a blob: as a clone, else as a hard link, else as a copy.

        `reflink` explains when a link is safe.

        Raises:
            DestinationError: the blob cannot be written, or the file changed in the meantime.
        """
        target = blob_path(self.store, layer.digest)
        if layer.file is None or target.exists():
            return self.add(layer)
        before = layer.file.stat()
        if clone(layer.file, target):
            self.lines.append(f"base cloned from {layer.file}: the clone takes no extra disk space")
            self._record(target, 0)
        elif link(layer.file, target):
            self.lines.append(
                f"base linked to {layer.file}: you may move or delete that file, but never edit it"
            )
            self.added.append(target)
        else:
            self._record(target, self._copy(layer.file, target, layer.digest))
        after = layer.file.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise DestinationError("The base changed while it was read.", where=layer.file)
        return None

    def write_manifest(self, name: ModelName, manifest: bytes, layers: tuple[Layer, ...]) -> Path:
        """Write the manifest of a model and return its path; from then on the model exists.

        Both layouts are written if the store has both; see "Both layouts of a store are written, the one that
        wins last" in docs/decisions.md.

        Raises:
            DestinationError: the manifest cannot be written, or a daemon that just started removed a blob.
        """
        target = manifest_path(self.store, name)
        self._directory(target.parent)
        if is_newer(self.store):
            self._directory(newer_path(self.store, name).parent)
            manifest_layer = Layer("", digest_of_bytes(manifest), len(manifest), content=manifest)
            self.add(manifest_layer)
            layers = (*layers, manifest_layer)
        missing = [layer for layer in layers if not blob_path(self.store, layer.digest).exists()]
        if missing:
            raise DestinationError(
                "Ollama removed a new blob while the model was written.",
                where=blob_path(self.store, missing[0].digest),
                hint="run the same command again",
            )
        with whole_file(target, temporary_in=self.store / "manifests") as file:
            file.write(manifest)
        self._chown_to_store_owner(target)
        if is_newer(self.store):  # Ollama prefers this entry, so it is written last.
            self._chown_to_store_owner(link_manifest(self.store, name, digest_of_bytes(manifest)))
        self.written += len(manifest)
        return target

    def _copy(self, source: Path, target: Path, digest: str) -> int:
        """Copy a file to a blob and return its size; raise a DestinationError if the digest differs."""
        with regular_file(source) as reader, whole_file(target) as writer:
            copied = copy_hashing(reader, writer, f"copying {source.name}", self.progress)
            if copied != digest:
                raise DestinationError(f"The file has changed: its digest is not {digest} now.", where=source)
        return target.stat().st_size

    def _record(self, target: Path, written: int, *, known: bool = False) -> None:
        """Record a blob that was written; one that was `known` before is never removed on failure."""
        if not known:  # A repaired blob stays: other models may name it.
            self.added.append(target)
        self.written += written
        self._chown_to_store_owner(target)

    def _directory(self, path: Path) -> None:
        """Create a directory and its parents, as the umask says, with the owner that Ollama needs."""
        with os_errors_as_destination_error(path):
            missing = [p for p in (path, *path.parents) if not p.exists()]
            for directory in reversed(missing):
                directory.mkdir(exist_ok=True)
                self._chown_to_store_owner(directory)

    def _chown_to_store_owner(self, path: Path) -> None:
        """Give a file that root wrote to the owner of the store, so that the daemon can remove it."""
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            with contextlib.suppress(OSError):
                owner = (path.parent if path.is_dir() else self.store).stat()
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
