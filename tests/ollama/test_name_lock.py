"""One at a time: a model's name is held by one process or thread, and given back however that ends."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

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
    assert told[0] == "waiting for another ollama-pack process that changes ada"


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
    with name_lock(name):
        pass
    assert not other.exists()
    assert there == "no place" or os.path.lexists(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="NOT TESTED: needs another user")
def test_another_users_lock_is_respected(tmp_path):
    """What another user holds is waited for, in a directory where Linux forbids to make it again."""
    tmp_path.chmod(0o1777)
    name, path = parse_name("ada"), lock_path(parse_name("ada"))
    path.touch()
    os.chown(path, 65534, 65534)
    path.chmod(0o666)
    with subprocess.Popen([sys.executable, "-c", HOLD, "ada"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told = []

        def progress(label, _done, _total):
            told.append(label)
            holder.kill()

        with name_lock(name, progress):
            assert told
