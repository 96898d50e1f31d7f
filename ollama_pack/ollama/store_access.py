"""Tells what this user may do with a store, and who owns it."""

import contextlib
import os
import shlex
from pathlib import Path

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.store_layout import NEWER, is_closed


def unreadable_store_error(store: Path, reason: str = "", by_daemon: str = "") -> DestinationError:
    """Return the error for a store that this user may not read.

    Args:
        store: the directory of the store.
        reason: why no daemon is used, as a clause, or an empty string.
        by_daemon: the hint by which a running daemon does it instead; empty if none answers.
    """
    prefix = f"{reason[:1].upper()}{reason[1:]}, and you" if reason else "You"
    return DestinationError(
        f"{prefix} have no permission to read this store.",
        where=store,
        hint=f"{by_daemon or 'ollama serve, which can read it'}; or the same command with "
        f"{sudo_prefix(store)} before it",
        code="store-not-readable",
    )


def is_writable(store: Path) -> bool:
    """Return whether this user may write to `store` and its folders, or create those that do not exist."""
    if is_closed(store):
        return False
    newer = [store / NEWER] if (store / NEWER).exists() else []
    for directory in (store, store / "blobs", store / "manifests", *newer):
        nearest = next(path for path in (directory, *directory.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            return False
    return True


def user_owning(path: Path) -> str:
    """Return the owner of a file in the form that ``sudo -u`` takes: a name, or ``#`` and the user id.

    If this user may not see the path, the owner of its nearest visible parent is returned.
    """
    with contextlib.suppress(PermissionError):
        path.stat()
        with contextlib.suppress(KeyError, NotImplementedError, ImportError):
            return path.owner()
        return f"#{path.stat().st_uid}"
    return user_owning(path.parent)


def sudo_prefix(path: Path) -> str:
    """Return the ``sudo -u OWNER`` prefix for the owner of a file."""
    return f"sudo -u {shlex.quote(user_owning(path))}"
