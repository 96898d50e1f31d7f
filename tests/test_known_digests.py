"""The digest of a file is computed once while a command runs, and again if the file is another one."""

import os

import pytest

from ollama_pack.disk import files
from ollama_pack.disk.known_digests import read_once

ONE, TWO = (f"sha256:{digits}" for digits in ("1" * 64, "2" * 64))


@pytest.fixture
def read(monkeypatch):
    """Return the names of the files that were read; the digest of a file is as its first byte says."""
    names = []

    def pretend(reader, writer, label, progress):
        names.append(label.removeprefix("reading "))
        return ONE if reader.read(1) == b"1" else TWO

    monkeypatch.setattr(files, "copy_hashing", pretend)
    return names


def test_a_file_is_read_once_within_the_block(tmp_path, read):
    """Also under another name of the same file, and in a block within the block; never after it."""
    (tmp_path / "a").write_bytes(b"1")
    os.link(tmp_path / "a", tmp_path / "b")
    with read_once():
        with read_once():
            assert files.sha256_of_file(tmp_path / "a") == ONE
        assert files.sha256_of_file(tmp_path / "a") == files.sha256_of_file(tmp_path / "b") == ONE
    assert read == ["a"]
    assert files.sha256_of_file(tmp_path / "a") == files.sha256_of_file(tmp_path / "a") == ONE
    assert read == ["a"] * 3


def test_another_file_is_read_again(tmp_path, read):
    """A file that was written to, and one that took its place with the same size and time, count anew."""
    path = tmp_path / "a"
    path.write_bytes(b"1")
    times = path.stat()
    with read_once():
        assert files.sha256_of_file(path) == ONE
        (tmp_path / "new").write_bytes(b"2")
        os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
        (tmp_path / "new").replace(path)
        assert files.sha256_of_file(path) == TWO
        path.write_bytes(b"1")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        assert files.sha256_of_file(path) == ONE


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    """Its digest is of neither of its states, so it is not remembered."""
    path = tmp_path / "a"
    path.write_bytes(b"1")
    read = []

    def pretend(reader, writer, label, progress):
        read.append(label)
        path.write_bytes(b"1" * (1 + len(read)))
        return ONE

    monkeypatch.setattr(files, "copy_hashing", pretend)
    with read_once():
        files.sha256_of_file(path)
        files.sha256_of_file(path)
    assert len(read) == 2
