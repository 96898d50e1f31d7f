"""READ  a directory → what lies in it, and what each file is for. No file is opened, no link followed."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.errors import InputError
from ollama_pack.lora.peft.directory import CONFIG_FILE, PICKLE_FILE, WEIGHTS_FILE
from ollama_pack.run.file_roles import DANGLING, LEFT_OUT, LINK, NO_FILE, USED, Role, role_of

MOST_FILES, DEEPEST = 100_000, 32
"""Of a directory that has more, or deeper ones, the rest is counted as not looked at."""

HIDDEN_TREES = frozenset({".git", ".cache", "__pycache__"})
"""Directories whose files are not listed: they belong to other programs, and are many."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a run, or a directory.

    Attributes:
        name: below the directory, with ``/``; that of a directory ends in it.
        role: what it is for.
        use: what a build of the directory does with it.
        size: in bytes; of a directory that of all its files.
        link: whether it is a link to a file.
    """

    name: str
    role: Role
    use: str
    size: int
    link: bool = False

    @property
    def top(self) -> bool:
        """Return whether it lies in the directory itself."""
        return "/" not in self.name.rstrip("/")


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies in a directory.

    Attributes:
        files: used ones first, then by name; what lies in a directory comes behind it.
        more: how many were not looked at.
    """

    files: tuple[File, ...]
    more: int = 0

    def kinds(self) -> dict[str, Counter[str]]:
        """Return directory at the top → how many files of each kind lie in it, however deep."""
        found: dict[str, Counter[str]] = {}
        for file in self.files:
            top, slash, rest = file.name.partition("/")
            if rest and not rest.endswith("/"):
                found.setdefault(top + slash, Counter())[file.role.kind] += 1
        return found


def list_files(directory: Path) -> Tree:
    """Return what lies in a directory.

    Raises:
        InputError: the directory is not there or cannot be read.
    """
    walk = _Walk()
    try:
        found = list(walk.files(directory, ""))
    except OSError as error:
        raise InputError(f"Cannot read the directory: {error.strerror}.", where=directory) from error
    tops = {file.name.partition("/")[0]: file for file in found if file.top}

    def order(file: File) -> tuple[bool, bool, str, str]:
        top = file.name.partition("/")[0]
        return tops[top].use != USED, tops[top].name.endswith("/"), top, file.name

    return Tree(tuple(sorted(found, key=order)), walk.more)


class _Walk:
    """A walk that ends, whatever there is.

    Attributes:
        left: how many files may still be looked at.
        more: how many were not.
    """

    def __init__(self) -> None:
        self.left, self.more = MOST_FILES, 0

    def files(self, directory: Path, prefix: str) -> Iterator[File]:
        """Yield the files below a directory, and the directories after what lies in them."""
        with os.scandir(directory) as entries:
            found = sorted(self._some(entries), key=lambda entry: entry.name)
        names = {entry.name for entry in found}
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from self._directory(entry, prefix)
            else:
                yield _file(entry, prefix, names)

    def _some(self, entries: "Iterator[os.DirEntry[str]]") -> Iterator["os.DirEntry[str]"]:
        for entry in entries:
            if self.left:
                self.left -= 1
                yield entry
            else:
                self.more += 1

    def _directory(self, entry: "os.DirEntry[str]", prefix: str) -> Iterator[File]:
        name, size = f"{prefix}{entry.name}/", 0
        role = role_of(entry.name, directory=True)
        hidden = entry.name in HIDDEN_TREES or name.count("/") > DEEPEST
        try:
            for file in () if hidden else self.files(Path(entry.path), name):
                size += 0 if file.name.endswith("/") else file.size
                yield file
        except OSError:  # a closed door
            role = Role(role.kind, f"{role.title}, which may not be read", LEFT_OUT, role.words)
        if role.title == "directory" and not prefix and (Path(entry.path) / CONFIG_FILE).is_file():
            role = Role("adapter", f"another adapter: --adapter {entry.name}", LEFT_OUT, role.words)
        yield File(name, role, LEFT_OUT, size)


def _file(entry: "os.DirEntry[str]", prefix: str, beside: set[str]) -> File:
    link, role = entry.is_symlink(), role_of(entry.name)
    try:
        status = entry.stat()
    except OSError:
        return File(f"{prefix}{entry.name}", DANGLING, LEFT_OUT, 0, link)
    if not stat.S_ISREG(status.st_mode):
        return File(
            f"{prefix}{entry.name}", LINK if stat.S_ISDIR(status.st_mode) else NO_FILE, LEFT_OUT, 0, link
        )
    use = role.use
    if prefix or (entry.name == PICKLE_FILE and WEIGHTS_FILE in beside):
        use = LEFT_OUT
    return File(f"{prefix}{entry.name}", role, use, status.st_size, link)
