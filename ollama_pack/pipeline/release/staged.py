"""A folder for what a pull has fetched so far, so that the next run of the same pull continues from there."""

import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ollama_pack.disk.files import DRAFT, FULL, Progress, os_errors_as_destination_error
from ollama_pack.disk.locks import folder_lock, is_private
from ollama_pack.errors import DestinationError, RefusedError
from ollama_pack.registry.artifact import ArtifactFile
from ollama_pack.registry.unfinished import is_stale, private_folder

_STAGED = re.compile(re.escape(DRAFT) + r"[0-9a-f]{16,64}")
_WHOLE = "release"


@contextmanager
def staging(digest: str, out: Path | None, progress: Progress | None = None) -> Iterator[Path]:
    """Yield the folder for the blobs of a release, and remove it unless the next run can continue with it.

    It stays after an interruption and if a registry or a daemon fails. If bytes do not match their digest, or
    the disk is full, it is removed, and so is what other pulls left a week ago.

    Args:
        digest: the digest of the manifest, which another release does not have.
        out: the directory that the files are for, on whose disk they are fetched; None for a folder of this
            user's.
        progress: called while another process pulls the same release.

    Raises:
        DestinationError: there is no place for the folder.
    """
    around = out.absolute().parent if out is not None else private_folder("pulls")
    folder = (around or Path(tempfile.gettempdir())) / f"{DRAFT}{digest.removeprefix('sha256:')}"
    with folder_lock(folder, progress):
        with os_errors_as_destination_error(folder.parent):
            folder = _made(folder)
        _remove_stale(folder.parent)
        stays = False
        try:
            yield folder
        except KeyboardInterrupt:
            stays = around is not None
            raise
        except DestinationError as error:
            stays = around is not None and not _is_full(error)
            raise
        finally:
            if not stays:
                shutil.rmtree(folder, ignore_errors=True)


def gathered(folder: Path, files: Iterable[ArtifactFile]) -> Path:
    """Return a folder below `folder` with the files of a release, made of their blobs.

    Raises:
        DestinationError: it cannot be written.
    """
    whole = folder / _WHOLE
    with os_errors_as_destination_error(whole):
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        for each in files:
            blob = folder / each.digest.removeprefix("sha256:")
            try:
                os.link(blob, whole / each.name)
            except OSError as error:
                if error.errno in FULL:
                    raise
                shutil.copyfile(blob, whole / each.name)  # a file system without links
    return whole


def require_empty(out: Path) -> None:
    """Require that a directory can become that of a release without losing a file.

    Raises:
        RefusedError: there are files.
        DestinationError: it cannot be looked at.
    """
    with os_errors_as_destination_error(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RefusedError(
                "There are files here already.",
                where=out,
                hint="--out DIR, with a new directory",
                code="file-in-the-way",
            )


def _made(folder: Path) -> Path:
    """Return the folder of this user's, made if it is not there; another one if the name is taken."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    if folder.is_dir() and is_private(folder):
        return folder
    other = folder.with_name(f"{DRAFT}{secrets.token_hex(16)}")
    other.mkdir(mode=0o700)
    return other


def _remove_stale(around: Path) -> None:
    """Remove what interrupted pulls left and no later run continued."""
    with suppress(OSError):
        for each in around.glob(f"{DRAFT}*"):
            if _STAGED.fullmatch(each.name) and each.is_dir() and is_private(each) and is_stale(each):
                shutil.rmtree(each, ignore_errors=True)


def _is_full(error: DestinationError) -> bool:
    """Return whether an error comes from a full disk."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (*FULL, errno.EFBIG)
