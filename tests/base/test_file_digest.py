"""The digest of a GGUF base: taken once, beside other work, and never of a file that has changed."""

import hashlib
import os
import sys
import threading
from pathlib import Path

import pytest

from ollama_pack.base.file_digest import FileDigest
from ollama_pack.disk import files
from ollama_pack.errors import DestinationError

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "base.gguf"
    path.write_bytes(CONTENT)
    return path


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_it_is_the_digest(file: Path) -> None:
    """The digest is SHA-256 of the content, with a thread and without one."""
    with FileDigest(file) as running:
        assert running.get() == digest_of(CONTENT)
    assert FileDigest(file).get() == digest_of(CONTENT)


def test_a_file_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the digest is asked for, the file is opened once."""
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    with FileDigest(file) as running:
        running.get()
        running.get()
    running.get()
    assert opened.count(str(file)) == 1


def test_a_file_that_was_written_meanwhile_is_read_anew(file: Path) -> None:
    """A file that was written after it was read gets the digest of what it holds now."""
    with FileDigest(file) as running:
        running.get()
        file.write_bytes(b"other")
        assert running.get() == digest_of(b"other")


def test_a_file_that_was_replaced_by_one_of_its_size_and_time_is_read_anew(file: Path) -> None:
    """A file of the same size and time in its place is told by its inode."""
    with FileDigest(file) as running:
        running.get()
        other, before = file.with_name("other"), file.stat()
        other.write_bytes(CONTENT[::-1])
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(file)
        assert running.get() == digest_of(CONTENT[::-1])


def test_a_hard_link_is_no_change(file: Path) -> None:
    """A hard link to the file, as a store makes one, does not cost a second reading."""
    opened: list[str] = []
    with FileDigest(file) as running:
        running.get()
        os.link(file, file.with_name("blob"))
        sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
        assert running.get() == digest_of(CONTENT)
    assert str(file) not in opened


@pytest.mark.parametrize("threaded", [True, False])
def test_a_file_that_cannot_be_read_is_an_error_for_the_one_who_asks(tmp_path: Path, threaded: bool) -> None:
    """The error comes where the digest is asked for, not in a thread."""
    digest = FileDigest(tmp_path / "none.gguf")
    if not threaded:
        with pytest.raises(DestinationError, match="Cannot read"):
            digest.get()
        return
    with digest, pytest.raises(DestinationError, match="Cannot read"):
        digest.get()


def test_the_end_of_the_block_ends_the_thread(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left running after the block, and the digest can still be had."""
    monkeypatch.setattr(files, "CHUNK_BYTES", 1)  # a million steps: without an end it would read for long
    before = threading.active_count()
    with FileDigest(file) as running:
        pass
    assert threading.active_count() == before
    monkeypatch.setattr(files, "CHUNK_BYTES", 1 << 20)
    assert running.get() == digest_of(CONTENT)


def test_whoever_waits_sees_the_progress(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the thread is waited for, its position is told."""
    told = threading.Event()

    def read_slowly(_path: Path, progress: files.Progress) -> str:
        progress("reading base.gguf", 1, 2)
        assert told.wait(60)
        return digest_of(CONTENT)

    monkeypatch.setattr("ollama_pack.base.file_digest.digest_of_base", read_slowly)
    seen: list[tuple[str, int, int]] = []

    def see(label: str, done: int, total: int) -> None:
        seen.append((label, done, total))
        told.set()

    with FileDigest(file) as running:
        assert running.get(see) == digest_of(CONTENT)
    assert seen[0] == ("reading base.gguf", 1, 2)
