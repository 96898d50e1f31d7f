"""Remembers the digest of a GGUF base, so that twenty builds on one base read its gigabytes once.

See "The digest of a base is remembered, never believed by a proof" in docs/decisions.md.
"""

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import Progress, home_directory, read_small, sha256_of_file
from ollama_pack.disk.locks import is_private
from ollama_pack.disk.private_file import write_private_json
from ollama_pack.formats.untrusted_json import parse_json

MEMORY_FILE = "digests.json"
MEMORY_SCHEMA = 1
MOST_REMEMBERED = 256
"""Number of files whose digests are kept; the ones that were read first are forgotten."""

SETTLED_SECONDS = 2.0
"""Age of a file from which a change of it is sure to change its times too, even on FAT."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of_base(path: Path, progress: Progress | None = None) -> str:
    """Return the digest of a GGUF base, ``sha256:…``; the file is read only if it is new or has changed.

    It is for deliveries. A proof reads the file itself, with `sha256_of_file`.

    Raises:
        DestinationError: the file cannot be read.

    Example:
        >>> digest_of_base(Path("SmolLM2-135M-Instruct.Q4_1.gguf"))  # doctest: +SKIP
        'sha256:5f5b6d0f…'
    """
    before = _identity(path)
    if known := _recall(before):
        return known
    settled = _is_settled(before)
    digest = sha256_of_file(path, progress)
    if settled and before == _identity(path):
        _remember({**before, "digest": digest})
    return digest


@contextlib.contextmanager
def digest_kept(path: Path | None) -> Iterator[None]:
    """Keep the remembered digest of a GGUF base valid while the block may link the file into a store.

    A hard link changes the ctime of a file, but not its content.
    """
    before = _identity(path) if path is not None else {}
    digest = _recall(before)
    yield
    if digest and path is not None:
        after = _identity(path)
        if after != before and {**after, "ctime": 0} == {**before, "ctime": 0}:
            _remember({**after, "digest": digest})


def memory_path() -> Path:
    """Return the file with the digests that are remembered for this user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = cache if cache.is_absolute() else home_directory() / ".cache"
    return folder / "ollama-pack" / MEMORY_FILE


def _identity(path: Path) -> dict[str, Any]:
    """Return what identifies a file and its state; empty if the file is not accessible.

    On Windows it is always empty, because programs can set every time stamp there.
    """
    with contextlib.suppress(OSError, RuntimeError):
        real = path.resolve(strict=True)
        status = real.stat()
        if os.name == "posix" and stat.S_ISREG(status.st_mode):
            return {
                "path": str(real),
                "size": status.st_size,
                "mtime": status.st_mtime_ns,
                "ctime": status.st_ctime_ns,
                "inode": status.st_ino,
                "device": status.st_dev,
            }
    return {}


def _is_settled(identity: Mapping[str, Any]) -> bool:
    """Return whether a file is old enough that a change of it would be seen from its times."""
    newest = max(identity.get("mtime", 0), identity.get("ctime", 0))
    return bool(identity) and newest / 1e9 < time.time() - SETTLED_SECONDS


def _recall(identity: Mapping[str, Any]) -> str:
    """Return the digest that is remembered of a file, or an empty text."""
    known = _read_memory().get(identity["path"], {}) if identity else {}
    digest = known.get("digest", "")
    return digest if known == {**identity, "digest": digest} else ""


def _read_memory() -> dict[str, dict[str, Any]]:
    """Return what is remembered, by path; nothing if another user could have written it, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        path = memory_path()
        if is_private(path.parent) and is_private(path):
            document = parse_json(read_small(path))
            if document["schema_version"] == MEMORY_SCHEMA:
                return {each["path"]: each for each in document["files"] if DIGEST.fullmatch(each["digest"])}
    return {}


def _remember(entry: Mapping[str, Any]) -> None:
    """Add an entry, and forget the oldest ones; do nothing if that is impossible.

    Two processes that write at once lose one of the entries, which costs nothing but reading that file again.
    """
    with contextlib.suppress(OSError):
        path = memory_path()
        there = next(folder for folder in path.parents if folder.exists())
        if os.geteuid() == 0 and there.stat().st_uid != 0:
            return  # sudo may keep the user's home; a folder of root's there would stop the user's memory
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(path.parent):
            return
        others = [each for each in _read_memory().values() if each["path"] != entry["path"]]
        files = [*others, entry][-MOST_REMEMBERED:]
        write_private_json(path, {"schema_version": MEMORY_SCHEMA, "files": files}, indent=1)
