"""Records are kept as one archive a model: the scripts that record pack it, and the tests unpack it.

Also a program: ``python tests/reference/archive.py OUT`` unpacks every record into a new directory OUT, as
``OUT/KIND/MODEL/…``, and the recorded training run as ``OUT/run/…``.
"""

import argparse
import atexit
import contextlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

GOLDENS = Path(__file__).parent.parent / "goldens"
KINDS = ("reference", "archs-reference", "archs-foreign", "kinds", "merged", "resized")
LENDERS = ("reference", "archs-reference")
"""Kinds of records whose bases are also those of `kinds`, the first one first."""
SUFFIX = ".tar.xz"
BASE, WEIGHTS = "base.gguf", "adapter_model.safetensors"
COPIES = "copies.json"
"""A list in a recorded run: path of a file that is not stored → path of the file that has its bytes."""


def archive_of(kind: str, name: str) -> Path:
    """Return where the archive of a recorded model lies, whether or not it is there."""
    return GOLDENS / kind / f"{name}{SUFFIX}"


def names_of(kind: str) -> list[str]:
    """Return the names of all models that are recorded of a kind."""
    return sorted(path.name.removesuffix(SUFFIX) for path in (GOLDENS / kind).glob(f"*{SUFFIX}"))


def pack(folder: Path, target: Path) -> None:
    """Write the files of a folder as one archive, which has neither dates nor owners."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:xz") as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                packed.addfile(entry, file)


def unpack(source: Path, folder: Path) -> None:
    """Write the files of an archive into a folder."""
    with tarfile.open(source, "r:xz") as packed:
        for entry in packed:
            content = packed.extractfile(entry)
            assert content is not None, f"{entry.name} in {source} is not a file"
            path = folder / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())


@contextlib.contextmanager
def recording(target: Path, *, keep: bool = False) -> Iterator[Path]:
    """Yield an empty folder to record a model in, and make it the archive at the end.

    Args:
        target: the archive; it stays as it was if the recording fails.
        keep: whether the folder has what the archive held before.
    """
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room) / target.name.removesuffix(SUFFIX)
        folder.mkdir()
        if keep and target.exists():
            unpack(target, folder)
        yield folder
        pack(folder, target)


def lender_of(name: str) -> str:
    """Return the kind that has the base of a model of `kinds`, or an empty text if no other kind has it."""
    return next((kind for kind in LENDERS if archive_of(kind, name).exists()), "")


@cache
def _room() -> Path:
    """Return a temporary directory that is removed when this process ends."""
    room = Path(tempfile.mkdtemp(prefix="records-"))
    atexit.register(shutil.rmtree, room, ignore_errors=True)
    return room


@cache
def unpacked(kind: str, name: str) -> Path:
    """Return a folder with a recorded model, its base included, which nobody may change."""
    folder = _room() / kind / name
    unpack(archive_of(kind, name), folder)
    if kind == "kinds":
        lend_base(folder)
    return folder


def lend_base(folder: Path) -> None:
    """Copy the base of a model of `kinds` into its folder if only another kind of records has it."""
    lender = lender_of(folder.name)
    if lender and not (folder / BASE).exists():
        shutil.copyfile(unpacked(lender, folder.name) / BASE, folder / BASE)


@cache
def unpacked_run() -> Path:
    """Return a folder with the recorded training run and its base, which nobody may change."""
    folder = _room() / "run"
    complete(GOLDENS / "run", folder)
    return folder


def thin(run: Path) -> None:
    """Keep the bytes of each file of a run once.

    Of files with the same bytes the one nearest to the top stays. The others are removed and listed in
    `COPIES`; weights become links, because a checkpoint without weights is none.
    """
    seen: dict[bytes, Path] = {}
    copies: dict[str, str] = {}
    files = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in sorted(files, key=lambda path: (len(path.parts), path)):
        original = seen.setdefault(path.read_bytes(), path)
        if original is path:
            continue
        path.unlink()
        if path.name == WEIGHTS:
            path.symlink_to(os.path.relpath(original, path.parent))
        else:
            copies[path.relative_to(run).as_posix()] = original.relative_to(run).as_posix()
    (run / COPIES).write_text(json.dumps(copies, indent=2, sort_keys=True) + "\n", "utf-8")


def complete(run: Path, target: Path) -> None:
    """Write a run that was made thin into a new directory, with every file that it had."""
    copies = json.loads((run / COPIES).read_text("utf-8"))
    shutil.copytree(run, target, ignore=shutil.ignore_patterns(COPIES))  # copies what a link points to
    for copy, original in copies.items():
        shutil.copyfile(target / original, target / copy)


def main() -> None:
    """Unpack every record."""
    parser = argparse.ArgumentParser(description="Unpack every record into a new directory.")
    parser.add_argument("out", type=Path, metavar="OUT", help="the directory; it must not exist yet")
    out = parser.parse_args().out
    for kind in KINDS:
        for name in names_of(kind):
            shutil.copytree(unpacked(kind, name), out / kind / name)
    shutil.copytree(unpacked_run(), out / "run")


if __name__ == "__main__":
    main()
