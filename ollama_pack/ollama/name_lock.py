"""Locks a model name, so that replace, rollback and remove of one name run one at a time on this machine.

A build that replaces a model first reads which model has the name, copies it to keep it, and then takes the
name. If two builds did this at the same time, one of their models would be lost. Neither daemons nor stores
offer a lock, so a file in the temporary directory stands for each name. The operating system releases the
lock when the process ends. Other machines are not locked out. See "One at a time changes what a name means"
in docs/decisions.md.
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
from ollama_pack.ollama.names import ModelName

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

RETRY_SECONDS = 0.02
READ_WRITE_FOR_ALL = 0o666
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextlib.contextmanager
def name_lock(name: ModelName, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of a model name while the block runs; wait if another process or thread holds it.

    If the lock file cannot be created or locked on this machine, the block runs without a lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            path = lock_path(name)
            while (descriptor := _try_lock(path)) is None:
                if progress is not None:
                    progress(f"waiting for another ollama-pack process that changes {name}", 0, 0)
                time.sleep(RETRY_SECONDS)
        except OSError:  # The file cannot be created, or the file system has no locks.
            pass
        else:
            stack.callback(_release, descriptor, path)
        yield


def lock_path(name: ModelName) -> Path:
    """Return the lock file of a model name; names that differ only in case have the same file."""
    key = hashlib.sha256(name.display.lower().encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ollama-pack-{key}.lock"


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
