"""The digest of a base is remembered for the same file alone, in a memory of this user's alone."""

import hashlib
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from ollama_pack.base import digest_memory
from ollama_pack.base.digest_memory import digest_kept, digest_of_base, memory_path
from ollama_pack.errors import DestinationError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: nothing is remembered on this system")

OPENED: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | os.PathLike):
        OPENED.append(os.fsdecode(arguments[0]))


sys.addaudithook(_watch)


def reads_of(path: Path) -> int:
    """Return how often a file is opened while its digest is asked for, which must be the right one."""
    OPENED.clear()
    assert digest_of_base(path) == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return OPENED.count(str(path)) - 1


@pytest.fixture
def base(tmp_path, monkeypatch):
    """Return a base that counts as settled, though it was just written."""
    monkeypatch.setattr(digest_memory, "SETTLED_SECONDS", -60.0)
    path = tmp_path / "base.gguf"
    path.write_bytes(b"GGUF and more")
    return path


def test_a_base_is_read_once(base):
    """The second time, the digest comes from memory, also by another name of the file."""
    assert [reads_of(base), reads_of(base)] == [1, 0]
    link = base.with_name("link.gguf")
    link.symlink_to(base)
    assert reads_of(link) == 0


def test_a_young_base_is_read_again(base, monkeypatch):
    """A file that changed less than two seconds ago may change again without another time."""
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(base.with_name("cache")))
    assert [reads_of(base), reads_of(base)] == [1, 1]
    assert not memory_path().exists()
    old = base.stat().st_mtime - 3600
    os.utime(base, (old, old))  # its content may have an old date, and be new
    assert [reads_of(base), reads_of(base)] == [1, 1]


def test_a_base_that_changes_under_the_read_is_not_remembered(base, monkeypatch):
    """What was read of a file in the middle of a change is no digest to keep."""

    def read_and_change(path, _progress):
        base.write_bytes(b"something else")
        return "sha256:" + "0" * 64

    with monkeypatch.context() as patched:
        patched.setattr(digest_memory, "sha256_of_file", read_and_change)
        digest_of_base(base)
    assert not memory_path().exists()


def change_size(base: Path) -> None:
    with base.open("ab") as file:
        file.write(b"!")


def change_content(base: Path) -> None:
    base.write_bytes(base.read_bytes()[::-1])


def change_content_and_turn_the_clock_back(base: Path) -> None:
    before = base.stat()
    base.write_bytes(base.read_bytes()[::-1])
    os.utime(base, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_a_copy(base: Path) -> None:
    copy = base.with_name("copy")
    shutil.copy2(base, copy)
    copy.replace(base)


@pytest.mark.parametrize(
    "change", [change_size, change_content, change_content_and_turn_the_clock_back, replace_by_a_copy]
)
def test_a_changed_base_is_read_again(base, change):
    """Size, both times, inode and device must be those of the file that was read."""
    assert reads_of(base) == 1
    change(base)
    assert [reads_of(base), reads_of(base)] == [1, 0]


def test_a_link_of_ours_keeps_the_digest(base):
    """A hard link changes the time of the last change, and is followed where this package made it."""
    assert reads_of(base) == 1
    with digest_kept(base):
        base.with_name("blob").hardlink_to(base)
    assert reads_of(base) == 0
    base.with_name("other").hardlink_to(base)
    assert reads_of(base) == 1


def test_a_change_beside_the_link_is_not_followed(base):
    """What is written while the base is linked has to be read."""
    assert reads_of(base) == 1
    with digest_kept(base):
        base.with_name("blob").hardlink_to(base)
        change_content(base)
    assert reads_of(base) == 1


def test_the_memory_is_for_its_owner(base, monkeypatch):
    """Its folder has mode 0700 and its file 0600, whatever the umask; no draft is left."""
    before = os.umask(0)
    try:
        reads_of(base)
    finally:
        os.umask(before)
    folder = memory_path().parent
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, memory_path())]
    assert modes == [0o700, 0o600]
    assert list(folder.iterdir()) == [memory_path()]


def lie(base: Path) -> None:
    """Let the memory have another digest for the base."""
    document = json.loads(memory_path().read_text())
    document["files"][0]["digest"] = "sha256:" + "0" * 64
    memory_path().write_text(json.dumps(document))


def test_the_memory_is_what_is_asked(base):
    """A digest in it is believed: so the tests below show what is not."""
    reads_of(base)
    lie(base)
    assert digest_of_base(base) == "sha256:" + "0" * 64


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_memory_that_others_may_write_is_ignored(base, mode, folder):
    """Neither its file nor its folder may be writable by the group or by everybody."""
    reads_of(base)
    lie(base)
    path = memory_path().parent if folder else memory_path()
    path.chmod(mode | (0o700 if folder else 0))
    assert reads_of(base) == 1


def test_a_memory_behind_a_link_is_ignored(base):
    """Neither its file nor its folder may be a symbolic link."""
    reads_of(base)
    lie(base)
    folder = memory_path().parent
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))
    assert reads_of(base) == 1


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_memory_of_another_user_is_ignored(base, folder, monkeypatch):
    """Its file and its folder must belong to whoever builds."""
    reads_of(base)
    lie(base)
    path = memory_path().parent if folder else memory_path()
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert reads_of(base) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="NOT TESTED: needs root")
def test_root_leaves_nothing_in_the_home_of_another(base):
    """A folder of root's in a user's cache would stop the memory of that user."""
    cache = memory_path().parents[1]
    cache.mkdir()
    os.chown(cache, 65534, -1)
    assert reads_of(base) == 1
    assert list(cache.iterdir()) == []


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"schema_version": 2, "files": []}',
    b'{"schema_version": 1, "files": 3}',
    b'{"schema_version": 1, "files": [3]}',
    b'{"schema_version": 1, "files": [{"path": []}]}',
    b'{"schema_version": 1, "files": [{"path": {}, "digest": "sha256:0"}]}',
    b"[" * 10_000,
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_memory_is_ignored_and_written_anew(base, content):
    """Whatever is in the file, the base is read, and remembered."""
    reads_of(base)
    memory_path().write_bytes(content)
    assert [reads_of(base), reads_of(base)] == [1, 0]


@pytest.mark.parametrize("key", ["path", "size", "mtime", "ctime", "inode", "device", "digest"])
@pytest.mark.parametrize("value", [None, 0, "sha256:", [], {}])
def test_a_damaged_entry_is_ignored(base, key, value):
    """An entry counts only if all of it is as it was written."""
    reads_of(base)
    document = json.loads(memory_path().read_text())
    document["files"][0][key] = value
    memory_path().write_text(json.dumps(document))
    assert reads_of(base) == 1


def test_the_oldest_are_forgotten(base, monkeypatch):
    """The memory is bounded: what was read first goes first."""
    monkeypatch.setattr(digest_memory, "MOST_REMEMBERED", 2)
    others = [base.with_name(f"{number}.gguf") for number in range(2)]
    for path in others:
        path.write_bytes(path.name.encode())
    assert [reads_of(path) for path in (base, *others)] == [1, 1, 1]
    assert [reads_of(path) for path in (*others, base)] == [0, 0, 1]


def test_without_a_place_nothing_is_remembered(base, monkeypatch):
    """A cache that cannot be written is no error."""
    base.with_name("file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(base.with_name("file")))
    assert [reads_of(base), reads_of(base)] == [1, 1]


def test_a_relative_cache_is_ignored(monkeypatch, tmp_path):
    """As the XDG specification asks; the default is ~/.cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for relative in ("cache", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert memory_path() == tmp_path / ".cache" / "ollama-pack" / "digests.json"


def test_a_missing_base_is_told(tmp_path):
    """The error names the file."""
    with pytest.raises(DestinationError, match="Cannot read the file"):
        digest_of_base(tmp_path / "none.gguf")
