"""Remembers the digests of files while one command runs, so that its proofs read gigabytes once.

See "One command reads a file once" in docs/decisions.md.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any, TypeAlias

_FileState: TypeAlias = tuple[int, int, int, int]

_READ: ContextVar[dict[_FileState, str] | None] = ContextVar("_READ", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Remember the digest of each file that is read inside the block, until the outermost block ends."""
    known = _READ.get()
    token = _READ.set({} if known is None else known)
    try:
        yield
    finally:
        _READ.reset(token)


def digest_once(file: IO[Any], read: Callable[[], str]) -> str:
    """Return the digest that is remembered of an open file, or what `read` returns.

    A file that has changed, or was replaced by another one, is read again.

    Args:
        file: the file, open.
        read: reads it to its end, and returns its digest, ``sha256:…``.
    """
    if digest := known_digest(file):
        return digest
    before, digest = _open_state(file), read()
    if before == _open_state(file):
        remember_digest(file, digest)
    return digest


def known_digest(file: IO[Any]) -> str:
    """Return the digest that is remembered of an open file, or an empty text."""
    return (_READ.get() or {}).get(_open_state(file), "")


def remember_digest(file: IO[Any], digest: str) -> None:
    """Remember the digest of an open file whose bytes were hashed on their way into it.

    Args:
        file: the file, with all of its bytes written.
        digest: ``sha256:…``.
    """
    known, state = _READ.get(), _open_state(file)
    if known is not None and state[1]:  # some file systems of Windows number no files
        known[state] = digest


def _open_state(file: IO[Any]) -> _FileState:
    """Return what identifies a file and its state: device, inode, size and modification time."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
