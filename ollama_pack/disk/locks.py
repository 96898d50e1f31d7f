"""Locks a thing of this machine by its name, so that only one ollama-pack process at a time changes it.

A file in a folder of this user stands for each thing, whether it is a folder or the name of a model. The
operating system releases the lock when the process ends. Other users and machines are not locked out. See
"One at a time changes what a name means", "A build has its output folder to itself" and "A lock is a user's
own" in docs/decisions.md.
"""

import contextlib
import errno
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.disk.files import Progress, home_directory
from ollama_pack.errors import RefusedError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

RETRY_SECONDS = 0.02
LONGEST_WAIT = 1800.0
"""Number of seconds after which a process that waits gives up. A large merge takes minutes."""

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


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

    Raises:
        RefusedError: another process has held it for longer than `LONGEST_WAIT`.
    """
    until, minutes = time.monotonic() + LONGEST_WAIT, f"{LONGEST_WAIT / 60:g} minutes"
    with contextlib.ExitStack() as stack:
        try:
            path = lock_file(key)
            while (descriptor := _try_lock(path)) is None:
                if progress is not None:
                    progress(f"waiting up to {minutes} for another ollama-pack process that {use}", 0, 0)
                if time.monotonic() > until:
                    raise RefusedError(
                        f"Another ollama-pack process still {use} after {minutes}.",
                        hint="let it finish, or end it, then run this again",
                        code="in-use",
                    )
                time.sleep(RETRY_SECONDS)
        except OSError:  # The file cannot be created, or the file system has no locks.
            pass
        else:
            stack.callback(_release, descriptor, path)
        yield


def lock_file(key: str) -> Path:
    """Return the lock file of a key, in a folder that exists.

    Raises:
        OSError: no place for locks is this user's own.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return _lock_folder() / f"{digest}.lock"


def is_private(path: Path) -> bool:
    """Return whether a path is this user's own, no link, and writable by nobody else."""
    status = path.lstat()
    if not hasattr(os, "geteuid"):  # Windows, where the temporary folder is the user's own
        return True
    mine = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return mine and not status.st_mode & WRITABLE_BY_OTHERS


def _lock_folder() -> Path:
    """Return the folder for this user's locks. Nobody else may write to it, or they could block this user.

    If another user has taken the name in the temporary directory, the folder is in this user's home.
    """
    user = getattr(os, "geteuid", lambda: "locks")()
    folders = (
        Path(tempfile.gettempdir()) / f"ollama-pack-{user}",
        home_directory() / ".cache" / "ollama-pack" / "locks",
    )
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=folder is not folders[0], exist_ok=True)
            if is_private(folder):
                return folder
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folders[0]))


def _try_lock(path: Path) -> int | None:
    """Return the descriptor of the locked file, or None if another process holds the lock."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        _lock(descriptor)
        # The previous holder may have deleted the file after we opened it; then our lock means nothing.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> None:
    """Lock an open file, or raise an OSError at once if another process holds the lock."""
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _release(descriptor: int, path: Path) -> None:
    """Delete the lock file and release its lock."""
    # An open file cannot be deleted on Windows; it does no harm if it stays.
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)
