"""Files that appear whole or not at all, and what is done to avoid copying a large one.

A large base is not copied where that can be helped:

1. *Clone* (``FICLONE``; Btrfs, XFS, bcachefs): shares the bytes until one side is changed, then they part.
   As safe as a copy.
2. *Hard link*, on the same file system: two names of one file. Removing either name leaves the other, but
   whoever *edits the user's file in place* edits the blob, whose name then lies. A copy would cost the size
   of the base, and so a link is made, and said, where it is harmless otherwise: the file is ours, everyone
   may read it (the daemon may run as somebody else), and its time stamp and mode stay as they are. Its old
   time stamp does no harm, since the manifest follows within a moment and is checked against the blobs.
3. *Copy*, where neither works.
"""

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ollama_pack.destinations.package import Progress
from ollama_pack.errors import DestinationError

CHUNK = 1 << 20
FICLONE = 0x40049409  # linux/fs.h: share the bytes of another file
READABLE_BY_ALL = 0o444
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EROFS)
_HOPELESS = _FULL + _FORBIDDEN


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into a DestinationError.

    Raises:
        DestinationError: an OSError happened inside.
    """
    try:
        yield
    except OSError as error:
        where = error.filename2 or error.filename or path
        what, hint = f"This cannot be written: {error.strerror or error}.", ""
        if error.errno in _FULL:
            what = "The disk is full; nothing was registered."
            hint = "free some space, or name a store on another disk with OLLAMA_MODELS"
        elif error.errno in (*_FORBIDDEN, errno.EPERM):
            what = f"This may not be written: {error.strerror}."
            hint = "--via create, so that the daemon writes, or OLLAMA_MODELS=DIR with a directory of yours"
        raise DestinationError(what, where=where, hint=hint) from error


@contextlib.contextmanager
def whole_file(target: Path, *, temporary_in: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file that appears as `target` when the block ends well, and not at all otherwise.

    Raises:
        DestinationError: it cannot be written.
    """
    temporary: Path | None = None
    with explained(target):
        try:
            number, text = tempfile.mkstemp(prefix=".ollama-pack-", dir=temporary_in or target.parent)
            temporary = Path(text)
            with os.fdopen(number, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(target)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def digest_of(path: Path, progress: Progress | None = None) -> str:
    """Return ``sha256:…`` of a file.

    Raises:
        DestinationError: it cannot be read.
    """
    try:
        with path.open("rb") as source:
            return pump(source, None, f"reading {path.name}", progress)
    except OSError as error:
        raise DestinationError(f"This cannot be read: {error.strerror or error}.", where=path) from error


def clone(source: Path, target: Path) -> bool:
    """Make `target` share the bytes of `source` until one of them is changed; return whether that works here.

    Raises:
        DestinationError: the disk is full, or may not be written.
    """
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with source.open("rb") as reader, whole_file(target) as writer:
            fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
    except DestinationError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _HOPELESS:
            raise
        return False
    return True


def link(source: Path, target: Path) -> bool:
    """Make `target` a second name of `source`; return whether that is possible and harmless."""
    status = source.stat()
    ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if not ours or status.st_mode & READABLE_BY_ALL != READABLE_BY_ALL:
        return False
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True


def copy_whole(source: Path, target: Path, progress: Progress | None = None) -> int:
    """Copy a file so that it appears whole, and return its size; nothing happens when it is there already.

    Raises:
        DestinationError: it cannot be read or written.
    """
    if target.exists() and source.samefile(target):
        return 0
    with explained(target), source.open("rb") as reader, whole_file(target) as writer:
        pump(reader, writer, f"copying {source.name}", progress)
    return target.stat().st_size


def pump(reader: BinaryIO, writer: BinaryIO | None, label: str, progress: Progress | None) -> str:
    """Read to the end, write what is read, and return its digest."""
    total, done, sha = os.fstat(reader.fileno()).st_size, 0, hashlib.sha256()
    while chunk := reader.read(CHUNK):
        sha.update(chunk)
        if writer is not None:
            writer.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(label, done, total)
    return f"sha256:{sha.hexdigest()}"
