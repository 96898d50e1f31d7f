"""A file that is read without a note of it, by its owner and by others."""

import errno
import os

import pytest

from ollama_pack.gguf.tensor_data import open_unnoticed


@pytest.fixture
def old(tmp_path):
    """Return a file that was changed after it was last read, so that a system would note the next time."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights")
    os.utime(path, (1, 2))
    return path


@pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="NOT TESTED: this system has no O_NOATIME")
def test_the_time_stays(old):
    """Reading leaves the time of access as it was."""
    with open_unnoticed(old) as file:
        assert file.read() == b"weights"
    assert old.stat().st_atime == 1


@pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="NOT TESTED: this system has no O_NOATIME")
def test_a_file_of_another(old, monkeypatch):
    """Who does not own a file reads it all the same."""
    opened = os.open

    def refuse(path, flags):
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "not the owner")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    with open_unnoticed(old) as file:
        assert file.read() == b"weights"


def test_a_file_that_is_not_there(tmp_path):
    """The error is that of the system."""
    with pytest.raises(FileNotFoundError):
        open_unnoticed(tmp_path / "none")
