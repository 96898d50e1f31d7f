"""One at a time: a model's name is held by one process or thread, and given back however that ends."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from ollama_pack.disk import locks
from ollama_pack.errors import RefusedError
from ollama_pack.ollama.name_lock import lock_path, name_lock
from ollama_pack.ollama.names import parse_name

HOLD = """
import sys, time
from ollama_pack.ollama.name_lock import name_lock
from ollama_pack.ollama.names import parse_name
with name_lock(parse_name(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """Keep the files of these tests to themselves."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_threads_take_turns():
    """No two of many are inside at once, and each gets in; nothing is left."""
    name, inside, most = parse_name("ada"), [], []

    def work():
        for _ in range(20):
            with name_lock(name):
                inside.append(None)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert not lock_path(name).exists()


def test_other_names_do_not_wait():
    """Names that Ollama tells apart are not held together; spellings of one are."""
    with name_lock(parse_name("ada")), name_lock(parse_name("ada:v2")), name_lock(parse_name("bob/ada")):
        pass
    assert lock_path(parse_name("Ada")) == lock_path(parse_name("registry.ollama.ai/library/ada:latest"))


def test_a_waiting_one_says_so_and_a_killed_one_holds_nothing():
    """Another process is waited for, which is told; when it is killed its turn is over."""
    name, told = parse_name("ada"), []
    with subprocess.Popen([sys.executable, "-c", HOLD, "ada"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def progress(label, _done, _total):
            told.append(label)
            holder.kill()

        with name_lock(name, progress):
            assert holder.wait() == -signal.SIGKILL
    assert told[0] == "waiting up to 30 minutes for another ollama-pack process that changes ada"


@pytest.mark.parametrize("there", ["a directory", "a link", "no place"])
def test_where_no_file_can_be_nobody_waits(there, tmp_path, monkeypatch):
    """Something else in the lock's place is left alone, and never followed; the work is done all the same."""
    name = parse_name("ada")
    path, other = lock_path(name), tmp_path / "other"
    if there == "a directory":
        path.mkdir()
    elif there == "a link":
        path.symlink_to(other)
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
        monkeypatch.setenv("HOME", "/dev/null")
    with name_lock(name):
        pass
    assert not other.exists()
    assert there == "no place" or os.path.lexists(path)


def test_a_wait_ends(monkeypatch):
    """A holder that never ends is given up on, with what is held and for how long."""
    monkeypatch.setattr(locks, "LONGEST_WAIT", 0.3)
    again = name_lock(parse_name("ada"))
    with name_lock(parse_name("ada")), pytest.raises(RefusedError, match="still changes ada after") as caught:
        again.__enter__()
    assert caught.value.code == "in-use"


def test_the_place_of_locks_is_private(tmp_path):
    """Nobody else can write where the locks are, whatever the umask."""
    before = os.umask(0)
    try:
        with name_lock(parse_name("ada")):
            path = lock_path(parse_name("ada"))
            assert path.parent.parent == tmp_path
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="NOT TESTED: needs users and modes")
@pytest.mark.parametrize("foreign", ["a link", "writable for all", "of another user"])
def test_a_place_that_others_took_is_not_used(foreign, tmp_path, monkeypatch):
    """A folder that another user put there in advance is not used: its locks could be held for ever."""
    place = tmp_path / f"ollama-pack-{os.geteuid()}"
    if foreign == "a link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir(mode=0o700)
    if foreign == "writable for all":
        place.chmod(0o777)
    if foreign == "of another user" and os.geteuid() == 0:
        os.chown(place, 65534, 65534)
    elif foreign == "of another user":
        monkeypatch.setattr(locks, "is_private", lambda path: path != place)
    with name_lock(parse_name("ada")):
        assert lock_path(parse_name("ada")).parent == tmp_path / "home" / ".cache" / "ollama-pack" / "locks"
    assert not any(place.iterdir())
