"""``push`` and ``pull`` that are killed: the next run goes on, and nobody sees a half."""

import json
import os
import signal
from pathlib import Path

import pytest
from oci_registry import stand_in_registry
from real_registry import shared
from terminal import environment, run, spawn, tree

from ollama_pack.base.digest_memory import memory_path
from ollama_pack.registry import downloads, uploads

pytest.importorskip("oras", reason="the extra `oci` is not installed")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: no SIGKILL here")

KILLED = """
import os, signal, sys
from ollama_pack.cli.app import main
from ollama_pack.registry import downloads, uploads
from ollama_pack.registry.remote import RemoteRegistry

def end_after(function, calls):
    def counted(*args, **more):
        result = function(*args, **more)
        if not calls.pop():
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return counted

size, where, count, *words = sys.argv[1:]
uploads.BLOB_CHUNK = downloads._READ_BYTES = int(size)
calls = [*range(int(count))] if int(count) else [1] * 10_000
if where == "chunk":
    uploads.keep_upload = end_after(uploads.keep_upload, calls)
elif where == "answer":
    ask = RemoteRegistry.request
    ending = end_after(lambda answer: answer, calls)
    def request(self, url, method="GET", **more):
        answer = ask(self, url, method, **more)
        return ending(answer) if method == "PATCH" else answer
    RemoteRegistry.request = request
elif where == "fetched":
    told = end_after(lambda *_: None, calls)
    opened = uploads.RemoteRegistry.__enter__
    def enter(self):
        self.progress = lambda label, *_: told() if label.startswith("fetching") else None
        return opened(self)
    RemoteRegistry.__enter__ = enter
sys.argv = ["ollama-pack", *words]
main()
"""


def killed(size: int, where: str, count: int, *words: object):
    """Run a command that is killed at the `count`-th event of a kind; never where it is 0.

    Args:
        size: the size of a chunk.
        where: ``chunk``, after the address for the next one is kept; ``answer``, before that; ``fetched``.
        count: how many events it lives to see.
        words: the command.
    """
    return spawn(size, where, count, *words, code=KILLED, env=environment(), timeout=120)


def test_a_push_that_is_killed_at_each_chunk(pushable, distribution, tmp_path):
    """docker-registry: each run goes on where the one before ended, and the tag appears at the very end."""
    place = f"oci://{distribution(http=', secret: one')}/team/ada:1"
    largest = max(map(len, shared(pushable).values()))
    size = largest // 4 + 1
    chunks = sum(-(-len(each) // size) for each in shared(pushable).values() if len(each) > size)
    assert chunks >= 4
    for _ in range(3 * chunks):
        ran = killed(size, "chunk", 2, "push", pushable, place, "--json")
        if ran.code == 0:
            break
        assert ran.code == -signal.SIGKILL, ran.stderr
        assert run("pull", place, "--json").document["code"] == "no-such-directory"
        assert len(list((memory_path().parent / "uploads").iterdir())) == 1
    assert ran.code == 0, ran.stderr
    assert ran.document["bytes_sent"] < largest // 2
    assert not list((memory_path().parent / "uploads").iterdir())
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def test_a_push_that_is_killed_before_the_answer(pushable, distribution, tmp_path):
    """The registry forgets an upload whose last answer nobody read; the blob is sent anew, and is right."""
    place = f"oci://{distribution(http=', secret: one')}/team/ada:1"
    size = max(map(len, shared(pushable).values())) // 4 + 1
    assert killed(size, "answer", 2, "push", pushable, place).code == -signal.SIGKILL
    assert killed(size, "", 0, "push", pushable, place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def test_a_chunk_that_arrived_in_part(pushable, monkeypatch, tmp_path):
    """A registry that says how far an upload came gets the rest alone, from the middle of a chunk on."""
    monkeypatch.setattr(uploads, "BLOB_CHUNK", 3000)
    content = (pushable / "adapter_model.gguf").read_bytes()
    with stand_in_registry() as here:
        place = f"oci://{here.host}/team/ada:1"
        here.answers["PATCH", "uploads"] = (503, "")
        assert run("push", pushable, place, "--json").document["code"] == "registry"
        here.answers.clear()
        (upload,) = [name for name, arrived in here.uploads.items() if not arrived]
        here.uploads[upload] = content[:4567]
        assert run("push", pushable, place).code == 0
        assert here.ranges[0] == (4567, len(content) - 1)
        assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


@pytest.mark.parametrize("arrived", [b"other bytes", b"x" * 10_000_000])
def test_an_upload_that_went_wrong(pushable, monkeypatch, tmp_path, arrived):
    """What a registry kept of an earlier upload is doubted: with other bytes it is sent anew."""
    monkeypatch.setattr(uploads, "BLOB_CHUNK", 3000)
    with stand_in_registry() as here:
        place = f"oci://{here.host}/team/ada:1"
        here.answers["PATCH", "uploads"] = (503, "")
        run("push", pushable, place)
        here.answers.clear()
        here.uploads[next(iter(here.uploads))] = arrived
        assert run("push", pushable, place).code == 0
        assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


@pytest.mark.parametrize("into", ["folder", "store"])
def test_a_pull_that_is_killed(pushable, registry, tmp_path, into):
    """The next run fetches the rest alone; nothing is left of the killed one, and nothing is there before."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    before = tree(tmp_path / "models")
    call = ("--out", tmp_path / "out") if into == "folder" else ("--via", "store")
    ran = killed(1000, "fetched", 5, "pull", place, *call)
    assert ran.code == -signal.SIGKILL, ran.stderr
    assert not (tmp_path / "out").exists()
    assert tree(tmp_path / "models") == before
    left = staged(tmp_path)
    assert left
    assert all(folder.stat().st_mode & 0o77 == 0 for folder in left)
    registry.asked.clear()
    registry.ranges.clear()
    ran = run("pull", place, *call)
    assert ran.code == 0, ran.stderr
    assert registry.ranges or len(registry.bodies("GET")) < 2 + len(shared(pushable))
    assert not staged(tmp_path)


def test_a_pull_that_is_killed_at_each_chunk(pushable, distribution, tmp_path):
    """docker-registry: each run fetches what is missing, and the folder appears at the very end."""
    place = f"oci://{distribution()}/team/ada:1"
    assert run("push", pushable, place).code == 0
    size = max(map(len, shared(pushable).values())) // 4 + 1
    chunks = sum(-(-len(each) // size) for each in shared(pushable).values())
    arrived = [0]
    for _ in range(2 * chunks):
        ran = killed(size, "fetched", 1, "pull", place, "--out", tmp_path / "out")
        if ran.code == 0:
            break
        assert ran.code == -signal.SIGKILL, ran.stderr
        assert not (tmp_path / "out").exists()
        (left,) = staged(tmp_path)
        arrived.append(sum(path.stat().st_size for path in left.iterdir() if path.is_file()))
        assert arrived[-1] > arrived[-2]
    assert ran.code == 0, ran.stderr
    assert len(arrived) > chunks
    assert shared(tmp_path / "out") == shared(pushable)
    assert not staged(tmp_path)


def test_what_a_pull_left_is_doubted(pushable, registry, tmp_path):
    """Bytes that were damaged after a pull was interrupted are fetched anew; what is old is removed."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    assert killed(1000, "fetched", 5, "pull", place, "--out", tmp_path / "out").code == -signal.SIGKILL
    for part in staged(tmp_path)[0].iterdir():
        part.write_bytes(b"?" * part.stat().st_size)
    old = tmp_path / f".ollama-pack-{'0' * 64}"
    old.mkdir(mode=0o700)
    os.utime(old, (1, 1))
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)
    assert not staged(tmp_path)


def test_a_connection_that_breaks(pushable, registry, monkeypatch, tmp_path):
    """A pull that a registry breaks off leaves no folder, and the next one asks for the rest."""
    monkeypatch.setattr(downloads, "_READ_BYTES", 1000)
    place = f"oci://{registry.host}/team/ada:1"
    manifest = run("push", pushable, place, "--json").document
    file = next(each for each in manifest["files"] if each["name"] == "adapter_model.gguf")
    registry.broken[file["digest"]] = 5000
    ran = run("pull", place, "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.document["code"]) == (6, "no-network")
    assert not (tmp_path / "out").exists()
    registry.broken.clear()
    registry.ranges.clear()
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert registry.ranges == [(5000, file["size"] - 1)]
    assert shared(tmp_path / "out") == shared(pushable)


def test_the_address_of_an_upload_is_a_secret(pushable, monkeypatch):
    """The address of an upload can be read by its owner alone, and is in no message."""
    monkeypatch.setattr(uploads, "BLOB_CHUNK", 3000)
    with stand_in_registry() as here:
        here.answers["PATCH", "uploads"] = (503, json.dumps({"errors": [{"code": "UNAVAILABLE"}]}))
        ran = run("push", pushable, f"oci://{here.host}/team/ada:1")
    (kept,) = (memory_path().parent / "uploads").iterdir()
    assert kept.stat().st_mode & 0o77 == 0
    assert "uploads" in kept.read_text()
    assert "/blobs/uploads" not in ran.stdout + ran.stderr


def staged(around: Path) -> list[Path]:
    """Return the folders that pulls left."""
    return [*around.glob(".ollama-pack-*"), *(memory_path().parent / "pulls").glob("*")]
