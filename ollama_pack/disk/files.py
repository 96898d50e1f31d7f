"""Writes files atomically, computes digests, and reads small files and JSON objects with a limit of size."""

import codecs
import contextlib
import errno
import hashlib
import os
import shlex
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ollama_pack.disk.known_digests import digest_once
from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.shown import reason_of

Progress: TypeAlias = Callable[[str, int, int], None]
"""Function called with a label, the number of bytes done, and the number of all bytes (0 if unknown)."""

Note: TypeAlias = Callable[[str, object], None]
"""Function called with the name of a stage and its result, when the stage is done."""

CHUNK_BYTES = 1 << 22
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Codes of the operating system for a full disk or an exhausted quota."""

READ_WRITE = 0o666
"""The mode of a new file, before the umask."""

FORBIDDEN = (errno.EACCES, errno.EROFS)
"""Codes of the operating system for a missing permission."""

SMALL = 16 << 20
"""Most bytes that `read_small` reads by default. A real manifest or configuration has thousands."""

LARGEST_JSON = 64 << 20
"""Most bytes of a JSON file that may be larger, such as tokenizer.json. The largest have 40 million."""

LFS_START = b"version https://git-lfs"
"""How a pointer of Git LFS begins."""

DRAFT = ".ollama-pack-"
"""Prefix of the names of temporary files, which are not complete yet."""

STALE_SECONDS = 3600.0
"""Age from which a temporary file is assumed to be left by a killed run."""


def remove_stale_drafts(directory: Path) -> None:
    """Remove the temporary files that killed runs left in a directory; do nothing if that is impossible."""
    with contextlib.suppress(OSError):
        for draft in directory.glob(f"{DRAFT}*"):
            with contextlib.suppress(OSError):
                if time.time() - draft.lstat().st_mtime > STALE_SECONDS:
                    draft.unlink()


@contextlib.contextmanager
def os_errors_as_destination_error(path: Path) -> Iterator[None]:
    """Turn an OSError raised inside the block into a DestinationError that says what helps.

    Args:
        path: the file or directory being written, for errors that do not name a file.

    Raises:
        DestinationError: an OSError was raised inside the block.
    """
    try:
        yield
    except OSError as error:
        where = error.filename2 or error.filename or path
        what = f"This path cannot be written: {reason_of(error)}."
        hint = "--out or OLLAMA_MODELS with another directory"
        if error.errno in FULL:
            what = "The disk is full. No incomplete file is left."
            hint = "free some space, or use another disk with --out or OLLAMA_MODELS"
        elif error.errno in (*FORBIDDEN, errno.EPERM):
            what = f"You may not write to this path: {error.strerror}."
            hint = "--out or OLLAMA_MODELS with a directory of yours; --via create lets the daemon write"
        raise DestinationError(what, where=where, hint=hint) from error


@contextlib.contextmanager
def whole_file(target: Path, *, temporary_in: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a temporary file that becomes `target` at the end of the block, or is removed after an error.

    Args:
        target: the path of the finished file. Its directory is created if it does not exist, and removed
            again after an error.
        temporary_in: the directory of the temporary file; by default, that of `target`.

    Raises:
        DestinationError: the file cannot be written.
    """
    temporary: Path | None = None
    missing = [parent for parent in target.parents if not os.path.lexists(parent)]
    with os_errors_as_destination_error(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = (temporary_in or target.parent) / f"{DRAFT}{os.urandom(8).hex()}"
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode_for(target)))
            with temporary.open("r+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # A directory with a file in it is not removed.
                for parent in missing:
                    parent.rmdir()


def _mode_for(target: Path) -> int:
    """Return the mode to create a file with, from which the system takes the bits of the umask.

    A file that is replaced never becomes readable for more users; its owner can write to it all the same.
    """
    with contextlib.suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode) & READ_WRITE | stat.S_IRUSR | stat.S_IWUSR
    return READ_WRITE


def require_directory(path: Path, hint: str = "") -> None:
    """Require that a path which the user named is a directory.

    Raises:
        UsageError: it does not exist, or is a file.
    """
    mode = 0
    with contextlib.suppress(OSError, ValueError):  # a path may be too long, or hold a null character
        mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        what = "This is a file, not a directory." if mode else "There is no such directory."
        raise UsageError(what, where=path, hint=hint, code="no-such-directory")


@contextlib.contextmanager
def regular_file(path: Path, buffering: int = -1) -> Iterator[BinaryIO]:
    """Yield a file that is open for reading; anything but a regular file is rejected at once.

    To open or read a pipe could block for ever, and a device may have no end.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | _NO_WAIT)
    with open(descriptor, "rb", buffering=buffering) as file:  # noqa: PTH123 — a descriptor
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        yield file


_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def read_small(path: Path, most: int = SMALL) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises:
        OSError: the file cannot be read, is larger, or is not a regular file.
    """
    with regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= most else b""  # no buffer for all that might come
        if len(content) > size:  # a file of /proc says that it is empty
            content += file.read(most)
        if size <= most and len(content) <= most:
            return content
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))


def user_path(text: str) -> Path:
    """Return the path that a text means, with the home directory for ``~``.

    The home of a user that does not exist, or of a process without one, is left as it is written: there is no
    such file then.
    """
    path = Path(text)
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path


def home_directory() -> Path:
    """Return the home directory of this user, or ``/`` if there is none, as for a service."""
    with contextlib.suppress(RuntimeError):
        return Path.home()
    return Path("/")


def sha256_of_file(path: Path, progress: Progress | None = None) -> str:
    """Return the digest of a file, ``sha256:…``.

    Raises:
        DestinationError: the file cannot be read.
    """
    try:
        with regular_file(path) as source:
            return digest_once(source, lambda: copy_hashing(source, None, f"reading {path.name}", progress))
    except OSError as error:
        raise DestinationError(f"Cannot read the file: {reason_of(error)}.", where=path) from error


def copy_whole(source: Path, target: Path, progress: Progress | None = None) -> int:
    """Copy a file atomically and return its size, or 0 if `target` is the same file as `source`.

    Raises:
        DestinationError: the file cannot be read or written.
    """
    if target.exists() and source.samefile(target):
        return 0
    with os_errors_as_destination_error(target), regular_file(source) as reader, whole_file(target) as writer:
        copy_hashing(reader, writer, f"copying {source.name}", progress)
    return target.stat().st_size


def copy_hashing(reader: BinaryIO, writer: BinaryIO | None, label: str, progress: Progress | None) -> str:
    """Read a file to its end, write the content to `writer` if there is one, and return its digest."""
    total, done, sha = os.fstat(reader.fileno()).st_size, 0, hashlib.sha256()
    while chunk := reader.read(CHUNK_BYTES):
        sha.update(chunk)
        if writer is not None:
            writer.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(label, done, total)
    return f"sha256:{sha.hexdigest()}"


def relative_path(path: Path, folder: Path) -> str:
    """Return the path of a file relative to a directory, as a Modelfile needs it: ``./adapter_model.gguf``.

    The slashes are forward ones on every system. Without ``./`` or ``../``, Ollama takes it for a model name.
    """
    try:
        relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # On Windows, no relative path leads to another drive.
        return path.resolve().as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def refuse_pointer(path: Path, start: bytes) -> None:
    """Require that a file which begins with `start` is not the pointer that a clone without Git LFS has.

    Raises:
        InputError: it is a pointer of Git LFS.
    """
    if start.startswith(LFS_START):
        folder = shlex.quote(str(path.parent))
        raise InputError(
            "This is a pointer of Git LFS, not the file itself.",
            where=path,
            hint=f"git -C {folder} lfs pull",
            code="git-lfs",
        )


def read_json_object(path: Path, most: int = SMALL) -> Mapping[str, Any]:
    """Return the JSON object that a file of at most `most` bytes holds.

    Raises:
        InputError: the file does not exist, cannot be read, is too large, is neither UTF-8
            nor UTF-16, is not JSON, or holds no object.
    """
    config = read_json(path, most)
    if not isinstance(config, dict):
        raise InputError("The file does not hold a JSON object.", where=path)
    return config


def read_json(path: Path, most: int = SMALL) -> Any:  # noqa: ANN401 — JSON
    """Return the JSON document that a file of at most `most` bytes holds.

    Raises:
        InputError: as for `read_json_object`, except that the document need not be an object.
    """
    try:
        content = read_small(path, most)
        refuse_pointer(path, content)
        # Editors on Windows begin a file with a mark of its encoding, and PowerShell writes UTF-16.
        marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return parse_json(content.decode("utf-16" if content.startswith(marks) else "utf-8-sig"))
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error
    except ValueError as error:
        raise InputError(f"The file is not JSON ({reason_of(error)}).", where=path) from error


def megabytes(size: int) -> str:
    """Return a number of bytes for people, ``4.3 MB`` or ``0.8 kB`` (decimal units)."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
