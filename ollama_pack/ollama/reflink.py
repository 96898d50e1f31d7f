"""Adds a large file to a store without copying its bytes, if the file system allows it.

1. A *clone* (``FICLONE`` on Btrfs, XFS and bcachefs) shares the bytes until one of the two files is changed.
   It is as safe as a copy.
2. A *hard link* on the same file system is a second name of the same file. Deleting one name leaves the
   other, but editing the user's file in place also edits the blob, whose digest is then wrong. A copy takes
   the disk space of the base, so a link is made if it is harmless otherwise: this user owns the file, and
   every user may read it, because the daemon may run as another one. The time stamp and the mode of the file
   stay. An old time stamp does no harm, because the manifest follows at once and is checked against the
   blobs.
3. A *copy* is made if neither works.

See "A base GGUF is cloned, else linked, else copied" in docs/decisions.md.
"""

import os
from pathlib import Path

from ollama_pack.disk.files import FORBIDDEN, FULL, regular_file, whole_file
from ollama_pack.errors import DestinationError

FICLONE = 0x40049409
"""The request of ``ioctl`` that makes a file share the bytes of another one (``linux/fs.h``)."""

READABLE_BY_ALL = 0o444
_FATAL = FULL + FORBIDDEN
"""Error numbers with which a copy would fail as well."""


def clone(source: Path, target: Path) -> bool:
    """Clone `source` to `target`, and return whether the file system supports that.

    Raises:
        DestinationError: the disk is full, or this user may not write there.
    """
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with regular_file(source) as reader, whole_file(target) as writer:
            fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
    except DestinationError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _FATAL:
            raise
        return False
    return True


def link(source: Path, target: Path) -> bool:
    """Make `target` a hard link to `source`, and return whether that was possible and harmless."""
    status = source.stat()
    owned = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if not owned or status.st_mode & READABLE_BY_ALL != READABLE_BY_ALL:
        return False
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True
