"""Files that appear whole or not at all."""

import errno
import os

import pytest

from ollama_pack.disk import files
from ollama_pack.errors import DestinationError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    """An error inside the block leaves the old file and nothing else."""
    target = tmp_path / "blob"
    target.write_bytes(b"old")

    def write():
        with files.whole_file(target) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["blob"]
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("code", "says", "tries"),
    [
        (errno.ENOSPC, "disk is full", "OLLAMA_MODELS"),
        (errno.EACCES, "may not write", "--via create"),
        (errno.EROFS, "may not write", "--via create"),
        (errno.EIO, "cannot be written", ""),
    ],
)
def test_the_operating_system_is_translated(tmp_path, code, says, tries):
    """Each fault is told in words, with the path and a way out."""
    with pytest.raises(DestinationError) as caught, files.os_errors_as_destination_error(tmp_path):
        raise OSError(code, os.strerror(code))
    assert says in caught.value.what
    assert tries in caught.value.hint
    assert caught.value.where == str(tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    """Reading what is missing is an error with its path."""
    with pytest.raises(DestinationError) as caught:
        files.sha256_of_file(tmp_path / "none.gguf")
    assert caught.value.where == str(tmp_path / "none.gguf")


def test_copying_a_file_onto_itself_does_nothing(tmp_path):
    """A file that lies where it should is left alone."""
    path = tmp_path / "lora.gguf"
    path.write_bytes(b"x")
    assert files.copy_whole(path, path) == 0
    assert path.read_bytes() == b"x"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(
    ("umask", "before", "after"),
    [
        (0o022, None, 0o644),
        (0o077, None, 0o600),
        (0o002, None, 0o664),
        (0o022, 0o600, 0o600),
        (0o022, 0o640, 0o640),
        (0o077, 0o644, 0o600),
        (0o000, 0o755, 0o644),
        (0o022, 0o444, 0o644),
    ],
)
def test_the_mode_of_a_file(umask, before, after, tmp_path):
    """It follows the umask, and who could not read the file that is replaced cannot read the new one."""
    target = tmp_path / "Modelfile.txt"
    if before is not None:
        target.touch()
        target.chmod(before)
    old = os.umask(umask)
    try:
        with files.whole_file(target) as file:
            assert os.fstat(file.fileno()).st_mode & ~after & 0o777 == 0  # nor while it is written
            file.write(b"new")
    finally:
        os.umask(old)
    assert target.stat().st_mode & 0o777 == after
