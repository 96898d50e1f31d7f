"""Locks a model name, so that replace, rollback and remove of one name run one at a time on this machine.

A build that replaces a model first reads which model has the name, copies it to keep it, and then takes the
name. If two builds did this at the same time, one of their models would be lost. Neither daemons nor stores
offer a lock, so `ollama_pack.disk.locks` does.
See "One at a time changes what a name means" in docs/decisions.md.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.disk.files import Progress
from ollama_pack.disk.locks import lock_file, lock_of
from ollama_pack.ollama.names import ModelName


@contextlib.contextmanager
def name_lock(name: ModelName, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of a model name while the block runs; wait if another process or thread holds it.

    If the lock file cannot be created or locked on this machine, the block runs without a lock.
    """
    with lock_of(name.display.lower(), f"changes {name}", progress):
        yield


def lock_path(name: ModelName) -> Path:
    """Return the lock file of a model name; names that differ only in case have the same file."""
    return lock_file(name.display.lower())
