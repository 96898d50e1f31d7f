"""Lists the files of a directory with the role of each. No file is opened, and no link is followed."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.disk.files import require_directory
from ollama_pack.errors import InputError
from ollama_pack.lora.peft.run_directory import CONFIG_FILE, PICKLE_FILE, WEIGHTS_FILE
from ollama_pack.modelfile import MODELFILE_NAME, OLLAMA_MODELFILE_NAME
from ollama_pack.run.file_roles import DANGLING, LEFT_OUT, LINK, NO_FILE, USED, Role, role_of

MOST_FILES, DEEPEST = 100_000, 32
"""Limits for the number of files, and for the depth of directories, that are listed."""

HIDDEN_TREES = frozenset({".git", ".cache", "__pycache__"})
"""Names of directories whose files are not listed, because other programs fill them with many files."""

_READ_INSTEAD = {PICKLE_FILE: WEIGHTS_FILE, OLLAMA_MODELFILE_NAME: MODELFILE_NAME}
"""The name of a file → the name of the file that is read instead of it if both exist."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a run, or a directory in it.

    Attributes:
        name: the path relative to the listed directory, with ``/``. The name of a directory ends with ``/``.
        role: what the file is for.
        use: what a build does with the file: ``used``, ``compared`` or ``left out``.
        size: the size in bytes; for a directory, the size of all files in it.
        link: whether the file is a symbolic link.
    """

    name: str
    role: Role
    use: str
    size: int
    link: bool = False

    @property
    def top(self) -> bool:
        """Return whether the file is directly in the listed directory."""
        return "/" not in self.name.rstrip("/")


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a directory.

    Attributes:
        files: the files, the used ones first, then by name. The files of a directory follow it.
        more: the number of files beyond `MOST_FILES`, which were not listed.
    """

    files: tuple[File, ...]
    more: int = 0

    def kinds(self) -> dict[str, Counter[str]]:
        """Return, for each directory at the top, how many files of each kind are below it."""
        kinds: dict[str, Counter[str]] = {}
        for file in self.files:
            top, slash, rest = file.name.partition("/")
            if rest and not rest.endswith("/"):
                kinds.setdefault(top + slash, Counter())[file.role.kind] += 1
        return kinds


def list_files(directory: Path, skip: Callable[[Path], bool] | None = None) -> Tree:
    """Return the files of a directory, with their roles.

    Args:
        directory: the directory.
        skip: returns whether a directory in it is left out, with all that it holds; None to leave out none.

    Raises:
        InputError: the directory does not exist (a `UsageError`) or cannot be read.
    """
    require_directory(directory)
    walk = _Walk(skip)
    try:
        files = list(walk.files(directory, ""))
    except OSError as error:
        raise InputError(f"Cannot read the directory: {error.strerror}.", where=directory) from error
    tops = {file.name.partition("/")[0]: file for file in files if file.top}

    def order(file: File) -> tuple[bool, bool, str, str]:
        top = file.name.partition("/")[0]
        return tops[top].use != USED, tops[top].name.endswith("/"), top, file.name

    return Tree(tuple(sorted(files, key=order)), walk.more)


class _Walk:
    """A walk through directories that stops at `MOST_FILES` files.

    Attributes:
        skip: returns whether a directory is left out, or None.
        left: the number of files that may still be listed.
        more: the number of files that were not listed.
    """

    def __init__(self, skip: Callable[[Path], bool] | None) -> None:
        self.skip = skip
        self.left, self.more = MOST_FILES, 0

    def files(self, directory: Path, prefix: str) -> Iterator[File]:
        """Yield the files below a directory, and each directory after the files in it."""
        with os.scandir(directory) as entries:
            listed = sorted(self._limited(entries), key=lambda entry: entry.name)
        names = {entry.name for entry in listed}
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                if self.skip and self.skip(Path(entry.path)):
                    continue
                yield from self._directory(entry, prefix)
            else:
                yield _file(entry, prefix, names)

    def _limited(self, entries: "Iterator[os.DirEntry[str]]") -> Iterator["os.DirEntry[str]"]:
        """Yield entries until the limit is reached, and count the others."""
        for entry in entries:
            if self.left:
                self.left -= 1
                yield entry
            else:
                self.more += 1

    def _directory(self, entry: "os.DirEntry[str]", prefix: str) -> Iterator[File]:
        """Yield the files below a directory, then the directory itself with their total size."""
        name, size = f"{prefix}{entry.name}/", 0
        role = role_of(entry.name, directory=True)
        hidden = entry.name in HIDDEN_TREES or name.count("/") > DEEPEST
        try:
            for file in () if hidden else self.files(Path(entry.path), name):
                size += 0 if file.name.endswith("/") else file.size
                yield file
        except OSError:  # One directory without permission must not hide the rest of the run.
            role = Role(role.kind, f"{role.title}, which cannot be read", LEFT_OUT, role.words)
        if role.title == "directory" and not prefix and (Path(entry.path) / CONFIG_FILE).is_file():
            role = Role("adapter", f"another adapter: --adapter {entry.name}", LEFT_OUT, role.words)
        yield File(name, role, LEFT_OUT, size)


def _file(entry: "os.DirEntry[str]", prefix: str, siblings: set[str]) -> File:
    """Return a file with its role and use; `siblings` are the names of all files of its directory."""
    name, link, role = f"{prefix}{entry.name}", entry.is_symlink(), role_of(entry.name)
    try:
        status = entry.stat()
    except OSError:
        return File(name, DANGLING, LEFT_OUT, 0, link)
    if not stat.S_ISREG(status.st_mode):
        return File(name, LINK if stat.S_ISDIR(status.st_mode) else NO_FILE, LEFT_OUT, 0, link)
    use = role.use
    # A build reads only the top directory, and some files only if there is no other.
    if prefix or _READ_INSTEAD.get(entry.name) in siblings:
        use = LEFT_OUT
    return File(name, role, use, status.st_size, link)
