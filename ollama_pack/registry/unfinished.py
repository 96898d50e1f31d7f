"""Keeps what the next run needs to go on with an upload or a pull that was interrupted.

The address of an upload under way is a secret, since whoever has it may send bytes. So everything is kept in
a folder that only this user can read. Without such a folder nothing is kept, and every transfer begins anew.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path

from ollama_pack.base.digest_memory import memory_path
from ollama_pack.disk.files import DRAFT, read_small
from ollama_pack.disk.locks import is_private

KEPT_SECONDS = 7 * 24 * 3600.0
"""Age in seconds from which what an interrupted run left is removed."""

_LONGEST_ADDRESS = 1 << 16


def kept_upload(blob: str) -> str:
    """Return the address where the upload of a blob goes on, or an empty text."""
    with contextlib.suppress(OSError, ValueError):
        path = _upload_file(blob)
        if path is not None and is_private(path):
            return read_small(path, _LONGEST_ADDRESS).decode()
    return ""


def keep_upload(blob: str, address: str) -> None:
    """Keep the address where the upload of a blob goes on; do nothing if that is impossible.

    Args:
        blob: the address that the blob will have.
        address: the address that takes its next bytes.
    """
    with contextlib.suppress(OSError):
        if (path := _upload_file(blob)) is None:
            return
        number, draft = tempfile.mkstemp(prefix=DRAFT, dir=path.parent)  # mode 0600: for its owner only
        try:
            with os.fdopen(number, "wb") as file:
                file.write(address.encode())
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)


def forget_upload(blob: str) -> None:
    """Forget the upload of a blob: it has ended, or cannot go on."""
    with contextlib.suppress(OSError):
        if (path := _upload_file(blob)) is not None:
            path.unlink(missing_ok=True)


def private_folder(kind: str) -> Path | None:
    """Return a folder for unfinished transfers that only this user can read, or None if that is impossible.

    Args:
        kind: the name of the folder.
    """
    with contextlib.suppress(OSError):
        folder = memory_path().parent / kind
        there = next(each for each in folder.parents if each.exists())
        if os.name == "posix" and os.geteuid() == 0 and there.stat().st_uid != 0:
            return None  # sudo may keep the user's home; a folder of root's there would stop the user
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_private(folder) and is_private(folder.parent):
            return folder
    return None


def is_stale(path: Path) -> bool:
    """Return whether what an interrupted run left is too old for anybody to go on with it."""
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime > KEPT_SECONDS
    return False


def _upload_file(blob: str) -> Path | None:
    """Return the file that keeps the address of an upload, and remove those of old ones."""
    folder = private_folder("uploads")
    if folder is None:
        return None
    for each in folder.iterdir():
        if is_stale(each):
            each.unlink(missing_ok=True)
    return folder / hashlib.sha256(blob.encode()).hexdigest()
