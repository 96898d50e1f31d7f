"""Manifests of a store, in both layouts that Ollama has had.

Until 0.34 a manifest is a file, ``manifests/HOST/NAMESPACE/MODEL/TAG``. From 0.40 on it is a blob like any
other, and ``manifests-v2/HOST/NAMESPACE/MODEL/TAG`` a symbolic link to it whose target's name is the digest
of its bytes; the public registry is called ``ollama.com`` there, and a colon in a host ``%3A``. An entry of
the newer layout wins; the older one is read where it has none, and written for those who go back. One entry
may name several manifests, one for each engine; ours is the one for GGUF.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.files import DRAFT, os_errors_as_destination_error, read_small, sha256_of_file
from ollama_pack.ollama.manifest import Layer
from ollama_pack.ollama.names import DEFAULT_HOST, ModelName

NEWER = "manifests-v2"
PUBLIC_HOST = "ollama.com"
_LISTS = (
    "application/vnd.ollama.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

_GGUF_RUNNERS = ("ggml", "llamacpp")


def is_newer(store: Path) -> bool:
    """Return whether a store has the layout of Ollama 0.40."""
    return (store / NEWER).is_dir()


def newer_path(store: Path, name: ModelName) -> Path:
    """Return where the entry of a model lies in the newer layout."""
    host = PUBLIC_HOST if name.host == DEFAULT_HOST else name.host.replace(":", "%3A")
    return store.joinpath(NEWER, host, name.namespace, name.model, name.tag)


def is_store(directory: Path) -> bool:
    """Return whether models are, or were, in a directory, and can be looked at."""
    return not is_closed(directory) and ((directory / "manifests").is_dir() or is_newer(directory))


def is_closed(directory: Path) -> bool:
    """Return whether a directory is there, or may be, and this user may not look into it."""
    for folder in (directory, directory / "manifests", directory / "blobs", directory / NEWER):
        try:
            os.scandir(folder).close()
        except PermissionError:
            return True
        except OSError:
            continue
    return False


def has_manifest(store: Path, name: ModelName) -> bool:
    """Return whether a store has a model, in either layout."""
    return newer_path(store, name).is_file() or manifest_path(store, name).is_file()


def read_manifest(store: Path, name: ModelName) -> bytes | None:
    """Return the bytes of a model's entry, as a daemon takes its digest of them; None where there is none.

    Raises:
        DestinationError: it is there and cannot be read.
    """
    for path in (newer_path(store, name), manifest_path(store, name)):
        try:
            return read_small(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DestinationError(
                f"This manifest cannot be read: {error.strerror or error}.", where=path
            ) from error
    return None


def gguf_manifest(store: Path, content: bytes) -> bytes:
    """Return the manifest that runs on llama.cpp, where an entry names one for each engine; else the entry.

    Raises:
        DestinationError: the entry names none for it, or it is not there.
    """
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or document.get("mediaType") not in _LISTS:
            return content
        children = document["manifests"]
        chosen = next(child for child in children if child.get("runner") in _GGUF_RUNNERS)
        return read_small(blob_path(store, chosen["digest"]))
    except (ValueError, RecursionError):
        return content  # whoever parses it says what is wrong
    except (StopIteration, KeyError, TypeError, AttributeError) as error:
        raise DestinationError(
            "The base has no variant in GGUF, which takes adapters.", where=store
        ) from error
    except OSError as error:
        raise DestinationError(f"A manifest cannot be read: {error.strerror}.", where=store) from error


def missing_blob(store: Path, layer: Layer) -> str:
    """Return why a layer's bytes are not in a store, empty where a file of its size is; it is not read."""
    path = blob_path(store, layer.digest)
    if not path.is_file():
        return f"its blob {layer.digest[:19]}… is not there"
    found = path.stat().st_size
    return "" if found == layer.size else f"its blob {layer.digest[:19]}… has {found} of {layer.size} bytes"


def corrupt_blob(blob: Path) -> str:
    """Return why a blob's bytes are not those its name promises, empty where they are; it is read through.

    Raises:
        DestinationError: it cannot be read.
    """
    digest = blob.name.replace("-", ":")
    return "" if sha256_of_file(blob) == digest else f"its blob {digest[:19]}… is not what it was"


def written_at(store: Path, name: ModelName) -> float:
    """Return when the entry of a model was written, in seconds since 1970; 0 where that is not known."""
    for path in (newer_path(store, name), manifest_path(store, name)):
        with contextlib.suppress(OSError):
            return path.lstat().st_mtime
    return 0.0


def delete_manifest(store: Path, name: ModelName) -> None:
    """Remove a model's entry, the one that wins last; its blobs stay.

    Raises:
        DestinationError: it cannot be removed.
    """
    for path in (manifest_path(store, name), newer_path(store, name)):
        with os_errors_as_destination_error(path):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other tags may be there
            path.parent.rmdir()


def names_in(store: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield host, namespace, model and tag of every model, as they are spelled there."""
    yield from dict.fromkeys(parts for parts, path in entries_in(store) if path.is_file())


def entries_in(store: Path) -> Iterator[tuple[tuple[str, str, str, str], Path]]:
    """Yield whatever lies where manifests do: host, namespace, model and tag, and the path."""
    for folder in (store / NEWER, store / "manifests"):
        for path in sorted(folder.glob("*/*/*/*")):
            host, namespace, model, tag = path.parts[-4:]
            if folder.name == NEWER:
                if host == DEFAULT_HOST:  # it has another name there, and nobody looks here
                    continue
                host = DEFAULT_HOST if host == PUBLIC_HOST else host.replace("%3A", ":")
            yield (host, namespace, model, tag), path


def manifest_texts(store: Path) -> Iterator[str]:
    """Yield every manifest of a store as text, whatever can be read of them."""
    for folder in (store / NEWER, store / "manifests"):
        for path in folder.glob("*/*/*/*"):
            with contextlib.suppress(OSError):
                yield read_small(path).decode("utf-8", "replace")


def digest_of_bytes(content: bytes) -> str:
    """Return ``sha256:`` and the digest of some bytes."""
    return f"sha256:{listed_digest(content)}"


def listed_digest(manifest: bytes) -> str:
    """Return what Ollama lists as a model's digest: 64 hexadecimal digits, of its manifest."""
    return hashlib.sha256(manifest).hexdigest()


def link_manifest(store: Path, name: ModelName, digest: str) -> Path:
    """Make the newer layout's entry of a model point to a blob, whole or not at all: linked, else copied.

    Raises:
        DestinationError: it cannot be written.
    """
    target, blob = newer_path(store, name), blob_path(store, digest)
    with os_errors_as_destination_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = store / NEWER / f"{DRAFT}{secrets.token_hex(8)}"
        try:
            _link(blob, draft, target)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return target


def _link(blob: Path, draft: Path, target: Path) -> None:
    """Make a draft that leads to a blob once it has the target's place."""
    try:
        draft.symlink_to(os.path.relpath(blob, target.parent))
    except OSError:  # a file system without links, as Ollama allows for
        try:
            os.link(blob, draft)
        except OSError:
            draft.write_bytes(read_small(blob))


_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


def manifest_path(store: Path, name: ModelName) -> Path:
    """Return where the manifest of `name` lies in `store` (layout of Ollama 0.1 to 0.34)."""
    return store.joinpath("manifests", *name.parts)


def blob_path(store: Path, digest: str) -> Path:
    """Return where the blob ``sha256:…`` lies in `store`.

    Raises:
        InputError: `digest` is not ``sha256:`` and 64 lower-case hexadecimal digits.
    """
    match = _DIGEST.fullmatch(digest)
    if not match:
        raise InputError(f"{digest!r} is not a SHA-256 digest.")
    return store / "blobs" / f"sha256-{match[1]}"
