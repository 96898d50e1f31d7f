"""The digest of a GGUF base. Reading gigabytes takes long, so a thread does it beside the conversion."""

import threading
from pathlib import Path

from ollama_pack.base.digest_memory import digest_of_base
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError

PROGRESS_SECONDS = 0.1


class FileDigest:
    """The SHA-256 of a file, which is taken once: by a thread inside a ``with``, else when it is asked for.

    See "The digest of a base is taken beside the conversion" in docs/decisions.md.

    Args:
        path: the file.
        known: its digest, ``sha256:…``, if whoever wrote the file has taken it; else empty.

    Example:
        >>> with FileDigest(Path("SmolLM2-135M-Instruct.Q4_1.gguf")) as digest:  # doctest: +SKIP
        ...     convert_something_else()
        ...     digest.get()
        'sha256:…'
    """

    def __init__(self, path: Path, known: str = "") -> None:
        self.path = path
        self._digest = known
        self._error: DestinationError | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._position: tuple[str, int, int] | None = None
        self._state = _state_of(path) if known else ()

    def instead_of(self, other: "FileDigest") -> "FileDigest | None":
        """Return this digest if it is of the same file as another one, else None."""
        same = _state_of(self.path)
        return self if same and same == _state_of(other.path) else None

    def __enter__(self) -> "FileDigest":
        self._thread = threading.Thread(target=self._read, name="sha256 of the base", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._thread is not None:
            self._stopped = True
            self._thread.join()
            self._thread = None

    def get(self, progress: Progress | None = None) -> str:
        """Return the digest, ``sha256:…``; wait for the thread, or read the file if there is none.

        Raises:
            DestinationError: the file cannot be read.
        """
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(PROGRESS_SECONDS)
            if progress is not None and self._position is not None:
                progress(*self._position)
        if self._error is not None:
            raise self._error
        if not self._digest or self._state != _state_of(self.path):  # a file that was written anew meanwhile
            self._state = _state_of(self.path)
            self._digest = digest_of_base(self.path, progress)
        return self._digest

    def _read(self) -> None:
        """Take the digest; an error is kept for the one who asks for it."""
        self._state = _state_of(self.path)
        try:
            self._digest = digest_of_base(self.path, self._follow)
        except DestinationError as error:
            self._error = error
        except _StoppedError:
            pass

    def _follow(self, label: str, done: int, total: int) -> None:
        """Keep how far the thread is; end it if nobody will ask for the digest any more."""
        if self._stopped:
            raise _StoppedError
        self._position = (label, done, total)


def _state_of(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written: its inode, size and time; empty if it cannot be seen.

    The time of its last change (ctime) is left out, since a hard link into a store changes it.
    """
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class _StoppedError(Exception):
    """Nobody will ask for the digest any more."""
