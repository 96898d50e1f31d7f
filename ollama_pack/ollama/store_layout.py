"""Finds, reads and deletes manifests and blobs in both layouts of an Ollama store (``manifest/paths.go``).

Up to Ollama 0.34 a manifest is the file ``manifests/HOST/NAMESPACE/MODEL/TAG``. From 0.40 on it is a blob,
and ``manifests-v2/HOST/NAMESPACE/MODEL/TAG`` is a symbolic link to this blob. In the newer layout the public
registry is called ``ollama.com``, and a colon in a host is written ``%3A``. If a model has an entry in both
layouts, the newer one counts; the older one is written too, for users who go back to an older Ollama. An
entry may be a list of manifests, one for each engine; this package uses the one for GGUF. See "Both layouts
of a store are written, the one that wins last" in docs/decisions.md.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.disk.files import DRAFT, os_errors_as_destination_error, read_small, sha256_of_file
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama.manifest import Layer
from ollama_pack.ollama.manifest_list import gguf_children
from ollama_pack.ollama.names import DEFAULT_HOST, ModelName
from ollama_pack.shown import reason_of

NEWER = "manifests-v2"
PUBLIC_HOST = "ollama.com"


def is_newer(store: Path) -> bool:
    """Return whether a store has the layout of Ollama 0.40 and later."""
    return (store / NEWER).is_dir()


def newer_path(store: Path, name: ModelName) -> Path:
    """Return the path of a model's entry in the newer layout."""
    host = PUBLIC_HOST if name.host == DEFAULT_HOST else name.host.replace(":", "%3A")
    return store.joinpath(NEWER, host, name.namespace, name.model, name.tag)


def is_store(directory: Path) -> bool:
    """Return whether a directory is a model store, possibly an empty one, that this user may read."""
    return not is_closed(directory) and ((directory / "manifests").is_dir() or is_newer(directory))


def is_closed(directory: Path) -> bool:
    """Return whether this user lacks the permission to look into a directory or its folders."""
    for folder in (directory, directory / "manifests", directory / "blobs", directory / NEWER):
        try:
            os.scandir(folder).close()
        except PermissionError:
            return True
        except OSError:
            continue
    return False


def has_manifest(store: Path, name: ModelName) -> bool:
    """Return whether a store has a manifest of a model, in either layout."""
    return newer_path(store, name).is_file() or manifest_path(store, name).is_file()


def read_manifest(store: Path, name: ModelName) -> bytes | None:
    """Return the bytes of a model's entry, or None if the store does not have the model.

    The digest of a model is the SHA-256 of these bytes.

    Raises:
        DestinationError: the entry exists, but cannot be read.
    """
    for path in (newer_path(store, name), manifest_path(store, name)):
        try:
            return read_small(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DestinationError(
                f"This manifest cannot be read: {reason_of(error)}.", where=path
            ) from error
    return None


def gguf_manifest(store: Path, content: bytes) -> bytes:
    """Return the manifest for llama.cpp from a list with one manifest for each engine.

    Content that is not such a list is returned unchanged. A child whose blob is not in the store is passed
    over: Ollama pulls only the child that it runs.

    Raises:
        DestinationError: the list has no manifest for GGUF here, or that manifest cannot be read.
    """
    children = gguf_children(content, where=store)
    if children is None:
        return content
    for child in children:
        try:
            return child.content or read_small(blob_path(store, child.digest))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DestinationError(
                f"This manifest cannot be read: {error.strerror}.", where=blob_path(store, child.digest)
            ) from error
    raise DestinationError(
        "The variant of the base in the GGUF format is not in this store.",
        where=store,
        hint="ollama pull for the base",
        code="base-not-here",
    )


def missing_blob(store: Path, layer: Layer) -> str:
    """Return that the blob of a layer is missing or has the wrong size, or an empty string if it is complete.

    The blob itself is not read.
    """
    path = blob_path(store, layer.digest)
    if not path.is_file():
        return f"its blob {layer.digest[:19]}… is missing"
    size = path.stat().st_size
    return "" if size == layer.size else f"its blob {layer.digest[:19]}… has {size} of {layer.size} bytes"


def corrupt_blob(blob: Path) -> str:
    """Return that a blob does not match its digest, or an empty string if it does; the whole blob is read.

    Raises:
        DestinationError: the blob cannot be read.
    """
    digest = blob.name.replace("-", ":")
    return "" if sha256_of_file(blob) == digest else f"its blob {digest[:19]}… is damaged"


def written_at(store: Path, name: ModelName) -> float:
    """Return the time at which a model's entry was written, in seconds since 1970, or 0 if it is unknown."""
    for path in (newer_path(store, name), manifest_path(store, name)):
        with contextlib.suppress(OSError):
            return path.lstat().st_mtime
    return 0.0


def delete_manifest(store: Path, name: ModelName) -> None:
    """Delete the entries of a model; its blobs stay.

    The entry of the newer layout is deleted last, because it is the one that counts.

    Raises:
        DestinationError: an entry cannot be deleted.
    """
    for path in (manifest_path(store, name), newer_path(store, name)):
        with os_errors_as_destination_error(path):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # The directory may hold other tags.
            path.parent.rmdir()


def names_in(store: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield the host, namespace, model and tag of every model, as they are spelled in the store."""
    yield from dict.fromkeys(parts for parts, path in entries_in(store) if path.is_file())


def entries_in(store: Path) -> Iterator[tuple[tuple[str, str, str, str], Path]]:
    """Yield the host, namespace, model and tag of every entry, and its path, even if that is not a file."""
    for folder in (store / NEWER, store / "manifests"):
        for path in sorted(folder.glob("*/*/*/*")):
            host, namespace, model, tag = path.parts[-4:]
            if folder.name == NEWER:
                if (
                    host == DEFAULT_HOST
                ):  # Ollama does not read this directory: the registry has another name here.
                    continue
                host = DEFAULT_HOST if host == PUBLIC_HOST else host.replace("%3A", ":")
            yield (host, namespace, model, tag), path


def manifest_texts(store: Path) -> Iterator[str]:
    """Yield the text of every manifest that can be read."""
    for folder in (store / NEWER, store / "manifests"):
        for path in folder.glob("*/*/*/*"):
            with contextlib.suppress(OSError):
                yield read_small(path).decode("utf-8", "replace")


def digest_of_bytes(content: bytes) -> str:
    """Return the digest of `content`, ``sha256:`` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def listed_digest(content: bytes) -> str:
    """Return the digest of a model as Ollama lists it: the SHA-256 of its manifest, 64 hexadecimal digits.

    Of a list of manifests Ollama lists the children, each with its own digest; that of the best child for
    GGUF is returned.
    """
    with contextlib.suppress(DestinationError):  # Ollama lists what it cannot run, too.
        children = gguf_children(content, where="")
        if children:
            return children[0].digest.removeprefix("sha256:")
    return hashlib.sha256(content).hexdigest()


def link_manifest(store: Path, name: ModelName, digest: str) -> Path:
    """Make the entry of a model in the newer layout point to a blob, and return the path of the entry.

    The entry is replaced in one step. It is a symbolic link, or else a hard link or a copy.

    Raises:
        DestinationError: the entry cannot be written.
    """
    target, blob = newer_path(store, name), blob_path(store, digest)
    with os_errors_as_destination_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = store / NEWER / f"{DRAFT}{os.urandom(8).hex()}"
        try:
            _link(blob, draft, target)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return target


def _link(blob: Path, draft: Path, target: Path) -> None:
    """Make `draft` lead to a blob from the place of `target`, to which it is renamed later."""
    try:
        draft.symlink_to(os.path.relpath(blob, target.parent))
    except OSError:  # The file system has no symbolic links; Ollama accepts a copy too.
        try:
            os.link(blob, draft)
        except OSError:
            draft.write_bytes(read_small(blob))


_BLOB_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


def manifest_path(store: Path, name: ModelName) -> Path:
    """Return the path of the manifest of `name` in `store`, in the layout of Ollama 0.1 to 0.34."""
    return store.joinpath("manifests", *name.parts)


def blob_path(store: Path, digest: str) -> Path:
    """Return the path of the blob ``sha256:…`` in `store`.

    Raises:
        InputError: `digest` is not ``sha256:`` and 64 lower-case hexadecimal digits.
    """
    match = _BLOB_DIGEST.fullmatch(digest)
    if not match:
        raise InputError(f"{digest!r} is not a SHA-256 digest.")
    return store / "blobs" / f"sha256-{match[1]}"
