"""Locks a thing of this machine by its name, so that only one ollama-pack process at a time changes it.

A file in the temporary directory stands for each thing, whether it is a folder or the name of a model. The
operating system releases the lock when the process ends. Other machines are not locked out. See "One at a
time changes what a name means" and "A build has its output folder to itself" in docs/decisions.md.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.files import Progress

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

RETRY_SECONDS = 0.02
READ_WRITE_FOR_ALL = 0o666
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextlib.contextmanager
def folder_lock(folder: Path, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of a folder while the block runs; wait if another process or thread holds it.

    The folder need not exist. Paths that lead to the same folder have the same lock.
    """
    with lock_of(f"folder {folder.resolve()}", f"uses {folder}", progress):
        yield


@contextlib.contextmanager
def lock_of(key: str, use: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of a key while the block runs; wait if another process or thread holds it.

    If the lock file cannot be created or locked on this machine, the block runs without a lock.

    Args:
        key: the text that stands for what is locked.
        use: what the holder does, for the message of the one that waits: ``uses release``.
        progress: called with that message while this process waits.
    """
    with contextlib.ExitStack() as stack:
        try:
            path = lock_file(key)
            while (descriptor := _try_lock(path)) is None:
                if progress is not None:
                    progress(f"waiting for another ollama-pack process that {use}", 0, 0)
                time.sleep(RETRY_SECONDS)
        except OSError:  # The file cannot be created, or the file system has no locks.
            pass
        else:
            stack.callback(_release, descriptor, path)
        yield


def lock_file(key: str) -> Path:
    """Return the lock file of a key."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ollama-pack-{digest}.lock"


def _try_lock(path: Path) -> int | None:
    """Return the descriptor of the locked file, or None if another process holds the lock."""
    descriptor = _open(path)
    if descriptor is None:
        return None
    try:
        _lock(descriptor)
        # The holder before may have deleted the file after we opened it; then our lock means nothing.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _open(path: Path) -> int | None:
    """Open the lock file, or create it with write access for all users; return None if that must be retried.

    It is opened without ``O_CREAT`` first: Linux forbids that for another user's file in a sticky directory.
    """
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, _FLAGS)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, READ_WRITE_FOR_ALL)
        with contextlib.suppress(OSError):
            path.chmod(READ_WRITE_FOR_ALL)
        return descriptor
    return None


def _lock(descriptor: int) -> None:
    """Lock an open file, or raise an OSError at once if another process holds the lock."""
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _release(descriptor: int, path: Path) -> None:
    """Delete the lock file and release its lock."""
    # Another user's file cannot be deleted, nor can an open file on Windows; it does no harm if it stays.
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)
