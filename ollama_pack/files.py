"""Files that appear whole or not at all, their digests, and those that hold one JSON object."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ollama_pack.errors import DestinationError, InputError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being moved, the bytes done and the bytes there are (0 where nobody knows)."""

Note: TypeAlias = Callable[[str, object], None]
"""Called with the name of a stage and the value it made, when it is done."""

CHUNK_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EROFS)


SMALL = 16 << 20
"""Bytes of a manifest, a configuration or parameters; real ones have a few thousand."""

LARGEST_JSON = 256 << 20
"""Bytes of a JSON file; the largest tokenizers have 40 million."""

DRAFT = ".ollama-pack-"
"""How the name of a file begins that is not whole yet."""


STALE_SECONDS = 3600.0
"""The age from which a draft is nobody's any more."""


def remove_stale_drafts(directory: Path) -> None:
    """Remove drafts that a killed run left in a directory."""
    with contextlib.suppress(OSError):
        for draft in directory.glob(f"{DRAFT}*"):
            with contextlib.suppress(OSError):
                if time.time() - draft.lstat().st_mtime > STALE_SECONDS:
                    draft.unlink()


@contextlib.contextmanager
def os_errors_as_destination_error(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into a DestinationError.

    Raises:
        DestinationError: an OSError happened inside.
    """
    try:
        yield
    except OSError as error:
        where = error.filename2 or error.filename or path
        what, hint = (
            f"This cannot be written: {error.strerror or error}.",
            "another place, with --out or OLLAMA_MODELS",
        )
        if error.errno in FULL:
            what = "The disk is full; nothing is left half-written."
            hint = "free some space, or take another disk with --out or OLLAMA_MODELS"
        elif error.errno in (*FORBIDDEN, errno.EPERM):
            what = f"This may not be written: {error.strerror}."
            hint = "--out or OLLAMA_MODELS with a directory of yours; --via create lets the daemon write"
        raise DestinationError(what, where=where, hint=hint) from error


@contextlib.contextmanager
def whole_file(target: Path, *, temporary_in: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file that appears as `target` when the block ends well, and not at all otherwise.

    Until then it is called ``file.name``, in the directory of `target` or in `temporary_in`.

    Raises:
        DestinationError: it cannot be written.
    """
    temporary: Path | None = None
    with os_errors_as_destination_error(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            number, text = tempfile.mkstemp(prefix=DRAFT, dir=temporary_in or target.parent)
            os.close(number)
            temporary = Path(text)
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(target)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def read_small(path: Path, most: int = SMALL) -> bytes:
    """Return the bytes of a file that should have few.

    Raises:
        OSError: it cannot be read, has more than `most`, or is none: a pipe would be waited for without end.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    return path.read_bytes()


def sha256_of_file(path: Path, progress: Progress | None = None) -> str:
    """Return ``sha256:…`` of a file.

    Raises:
        DestinationError: it cannot be read.
    """
    try:
        with path.open("rb") as source:
            return copy_hashing(source, None, f"reading {path.name}", progress)
    except OSError as error:
        raise DestinationError(f"This cannot be read: {error.strerror or error}.", where=path) from error


def copy_whole(source: Path, target: Path, progress: Progress | None = None) -> int:
    """Copy a file so that it appears whole, and return its size; nothing happens when it is there already.

    Raises:
        DestinationError: it cannot be read or written.
    """
    if target.exists() and source.samefile(target):
        return 0
    with os_errors_as_destination_error(target), source.open("rb") as reader, whole_file(target) as writer:
        copy_hashing(reader, writer, f"copying {source.name}", progress)
    return target.stat().st_size


def copy_hashing(reader: BinaryIO, writer: BinaryIO | None, label: str, progress: Progress | None) -> str:
    """Read to the end, write what is read, and return its digest."""
    total, done, sha = os.fstat(reader.fileno()).st_size, 0, hashlib.sha256()
    while chunk := reader.read(CHUNK_BYTES):
        sha.update(chunk)
        if writer is not None:
            writer.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(label, done, total)
    return f"sha256:{sha.hexdigest()}"


def relative_path(path: Path, folder: Path) -> str:
    """Return the way from a folder to a file as a Modelfile needs it: forward slashes, ``./`` in front."""
    try:
        way = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()
    return way if way.startswith("../") else f"./{way}"


def read_json_object(path: Path) -> Mapping[str, Any]:
    """Return a JSON object from a file.

    Raises:
        InputError: the file is missing, unreadable, too large, not UTF-8, not JSON or not an object.
    """
    try:
        config = json.loads(read_small(path, LARGEST_JSON).decode("utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"The file is not JSON ({error}).", where=path) from error
    if not isinstance(config, dict):
        raise InputError("The file holds no JSON object.", where=path)
    return config


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
