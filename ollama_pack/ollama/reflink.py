"""What is done to avoid copying a large file.

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

import os
from pathlib import Path

from ollama_pack.errors import DestinationError
from ollama_pack.files import FORBIDDEN, FULL, whole_file

FICLONE = 0x40049409  # linux/fs.h: share the bytes of another file
READABLE_BY_ALL = 0o444
_HOPELESS = FULL + FORBIDDEN


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
