"""One at a time: whoever changes what a model's name means waits until the one before has finished.

To keep the model that is replaced, it is read which one that is, it is copied, and then its name is taken.
Where two do that at once, each may copy what the other replaces, and one of their models is lost. No daemon
and no store offers a lock, so there is a file for each name among the temporary files of this machine. The
operating system frees its lock when a process ends, however it ends. Another machine is not kept from
anything.
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

AGAIN_SECONDS = 0.02
ANYONE = 0o666
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextlib.contextmanager
def name_lock(name: ModelName, progress: Progress | None = None) -> Iterator[None]:
    """Hold a model's name while the block runs; wait for another process or thread that holds it.

    Where this machine takes no such file, nobody waits.
    """
    with contextlib.ExitStack() as held:
        try:
            path = lock_path(name)
            while (number := _taken(path)) is None:
                if progress is not None:
                    progress(f"waiting for another ollama-pack that works on {name}", 0, 0)
                time.sleep(AGAIN_SECONDS)
        except OSError:  # no place for a file, or none that can be locked
            pass
        else:
            held.callback(_give_back, number, path)
        yield


def lock_path(name: ModelName) -> Path:
    """Return the file that stands for a model's name, however that is spelled."""
    key = hashlib.sha256(name.display.lower().encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ollama-pack-{key}.lock"


def _taken(path: Path) -> int | None:
    """Return the open and locked file, None where another has it."""
    number = _opened(path)
    if number is None:
        return None
    try:
        _lock(number)
        if os.path.samestat(os.fstat(number), path.stat()):
            return number
    except (BlockingIOError, PermissionError, FileNotFoundError):  # held, or taken away by who held it
        pass
    except OSError:
        os.close(number)
        raise
    os.close(number)
    return None


def _opened(path: Path) -> int | None:
    """Open a file that everyone may lock; one of another user is not made again, which Linux forbids."""
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, _FLAGS)
    with contextlib.suppress(FileExistsError):
        number = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, ANYONE)
        with contextlib.suppress(OSError):
            path.chmod(ANYONE)
        return number
    return None


def _lock(number: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _give_back(number: int, path: Path) -> None:
    with contextlib.suppress(OSError):  # of another user, or open on a system that minds
        path.unlink()
    os.close(number)
