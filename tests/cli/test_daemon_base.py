"""A base that only a daemon can read is sent by it: merged from, and gone afterwards."""

import json
from collections import namedtuple

import fake_daemon
import pytest
import scratch_store
from hidden_store import hide_store
from recipes import write_model
from terminal import run, tree
from test_hints_merge import write_base
from tiny_model import make_adapter as make_lora_file

from ollama_pack.disk.files import sha256_of_file
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.ollama import borrowed_store
from ollama_pack.ollama.daemon import Daemon

TEMPLATE = "{{ .System }}|{{ .Prompt }}!"
MESSAGES = [{"role": "user", "content": "Before."}, {"role": "assistant", "content": "Yes."}]


@pytest.fixture(params=["0.12", "0.33", "0.34.1", "0.40"])
def daemon(request, tmp_path, monkeypatch, tiny_gguf):
    """Return a daemon of each generation that has a base with a prompt of its own."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(tmp_path / "closed", tiny_gguf, tag="tiny", template=TEMPLATE, messages=MESSAGES)
    hide_store(monkeypatch, tmp_path / "closed")
    with fake_daemon.running(tmp_path / "closed", request.param) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.address)
        yield running


any_daemon = pytest.mark.parametrize("daemon", ["0.33"], indirect=True)


def names_of(daemon):
    """Return the models that a daemon has."""
    return {"/".join(parts) for parts in daemon.models.names()}


def test_build(ada, daemon, tiny_gguf, tmp_path):
    """The merged model is that of the file, with the prompt of the base; the daemon's base is not changed."""
    before, out = names_of(daemon), tmp_path / "out"
    ran = run("build", ada, "ada", "--merge", "--base", "tiny", "--out", out, "--json")
    assert ran.code == 0, ran.stderr
    assert names_of(daemon) == before | {"registry.ollama.ai/library/ada/latest"}
    told = ran.document
    assert (told["base"]["tag"], told["base"]["gguf"]) == ("tiny:latest", "")
    assert told["delivery"]["where"] == daemon.address
    assert sorted(path.name for path in out.iterdir()) == [
        "Modelfile.txt",
        "merged_model.gguf",
        "ollama-pack.lock",
    ]
    text = (out / "Modelfile.txt").read_text()
    assert TEMPLATE in text
    assert "PARAMETER top_k 7" in text
    assert "MESSAGE assistant Yes." in text
    lock = json.loads((out / "ollama-pack.lock").read_text())
    assert (lock["base"]["tag"], lock["base"]["blob"]) == ("tiny:latest", sha256_of_file(tiny_gguf))
    alone = run("merge", ada, "--base", tiny_gguf, "--out", tmp_path / "alone" / "ada.gguf")
    assert alone.code == 0, alone.stderr
    merged, other = read_gguf(out / "merged_model.gguf"), read_gguf(tmp_path / "alone" / "ada.gguf")
    assert merged.shapes == other.shapes
    assert merged.text("ollama_pack.merged_adapter") == other.text("ollama_pack.merged_adapter")


@any_daemon
def test_merge(ada, daemon, tiny_gguf, tmp_path):
    """The file is, byte for byte, that of a base that is a file; people are told who sends what."""
    words = ("merge", ada, "--out", tmp_path / "out" / "ada.gguf")
    ran = run(*words, "--base", "tiny")
    assert ran.code == 0, ran.stderr
    assert f"only Ollama at {daemon.address} can read the weights of tiny" in ran.stderr
    content = (tmp_path / "out" / "ada.gguf").read_bytes()
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "ada.gguf"]
    assert run(*words, "--base", tiny_gguf).code == 0
    assert (tmp_path / "out" / "ada.gguf").read_bytes() == content


@any_daemon
def test_a_store_that_can_be_read_is_read(ada, tiny_gguf, tmp_path, monkeypatch, daemon):
    """Nothing is sent where the daemon's store is open, also if it is none of the usual ones."""
    monkeypatch.undo()
    monkeypatch.setenv("OLLAMA_HOST", daemon.address)
    ran = run("merge", ada, "--base", "tiny", "--out", tmp_path / "out" / "ada.gguf")
    assert ran.code == 0, ran.stderr
    assert not daemon.asked("POST", "/api/push")


@any_daemon
def test_a_base_with_an_adapter(ada, daemon, tmp_path):
    """It is refused before anything is sent."""
    lora = make_lora_file(tmp_path / "lora.gguf")
    document = json.loads(daemon.models.read("tiny"))
    layer = scratch_store.add_blob(daemon.store, lora.path.read_bytes())
    document["layers"].append(layer | {"mediaType": "application/vnd.ollama.image.adapter"})
    daemon.models.write("tiny", json.dumps(document).encode())
    ran = run("merge", ada, "--base", "tiny", "--out", tmp_path / "ada.gguf", "--json")
    assert ran.document["code"] == "base-has-adapter"
    assert not daemon.asked("POST", "/api/push")


@any_daemon
def test_no_room(ada, daemon, tmp_path, monkeypatch):
    """What is needed and what is free is told before the daemon sends a byte of the weights."""
    usage = namedtuple("usage", "total used free")
    words = ("build", ada, "ada", "--merge", "--base", "tiny", "--out", tmp_path / "out", "--json")
    with monkeypatch.context() as full:
        full.setattr(borrowed_store.shutil, "disk_usage", lambda _: usage(10, 9, 1000))
        told = run(*words).document
    assert told["code"] == "no-room"
    assert "1.0 kB are free" in told["what"]
    assert not (tmp_path / "out").exists()
    assert names_of(daemon) == {"registry.ollama.ai/library/tiny/latest"}
    assert told["try"].startswith("--out with a directory on another disk")
    assert run(*words[:-2], tmp_path / "elsewhere").code == 0


@any_daemon
@pytest.mark.parametrize("mood", ["far", "fails", "breaks"])
def test_a_daemon_that_does_not_send(ada, daemon, tmp_path, tiny_gguf, mood):
    """It cannot come, or breaks off: that is told, and nothing is left on either side."""
    daemon.mood = mood
    words = ("merge", ada, "--out", tmp_path / "out" / "ada.gguf")
    told = run(*words, "--base", "tiny", "--json").document
    assert told["exit_code"] == 6
    assert not (tmp_path / "out").exists()
    assert names_of(daemon) == {"registry.ollama.ai/library/tiny/latest"}
    if mood == "far":
        assert told["code"] == "base-elsewhere"
        assert told["try"].startswith("--base FILE.gguf, with the GGUF file of that model")
        assert run(*words, "--base", tiny_gguf).code == 0


@any_daemon
def test_a_daemon_elsewhere(ada, daemon, tmp_path, tiny_gguf, monkeypatch):
    """One on another machine cannot reach the loopback of this one: the file of the base can be named."""
    monkeypatch.setattr("ollama_pack.pipeline.merging.daemon_base.is_near", lambda _: False)
    words = ("merge", ada, "--out", tmp_path / "ada.gguf")
    told = run(*words, "--base", "tiny", "--json").document
    assert (told["code"], "another machine" in told["what"]) == ("base-elsewhere", True)
    assert told["try"].startswith("--base FILE.gguf, with the GGUF file of that model")
    assert run(*words, "--base", tiny_gguf).code == 0


@any_daemon
def test_a_damaged_blob(ada, daemon, tmp_path, tiny_gguf):
    """Bytes that are not those of the digest are not kept; a pull that mends the blob helps."""
    blob = daemon.models.blob(sha256_of_file(tiny_gguf))
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    words = ("merge", ada, "--base", "tiny", "--out", tmp_path / "out" / "ada.gguf")
    told = run(*words, "--json").document
    assert told["code"] == "base-not-sent"
    assert not (tmp_path / "out").exists()
    blob.write_bytes(content)  # as ollama pull leaves it
    assert run(*words).code == 0


@any_daemon
def test_a_base_that_the_daemon_lacks(smol, daemon, tmp_path):
    """It is said how it comes there; then the daemon sends it. Or its file is named."""
    words = ("merge", smol, "--out", tmp_path / "merged.gguf")
    told = run(*words, "--json").document
    assert told["code"] == "base-no-file"
    pull, _, by_file = told["try"].partition("  and the same command again; or ")
    assert by_file == "--base FILE.gguf, with the GGUF file of that model"
    file = write_base(tmp_path / "smol.gguf")
    assert run(*words, "--base", file).code == 0
    scratch_store.add_base(tmp_path / "registry", file, tag="smollm2")
    (pulled,) = (tmp_path / "registry" / "manifests").rglob("latest")
    for blob in (tmp_path / "registry" / "blobs").iterdir():
        (daemon.store / "blobs" / blob.name).write_bytes(blob.read_bytes())
    daemon.pullable["smollm2:135m"] = pulled
    with Daemon(daemon.address) as client:
        client.pull(pull.removeprefix("ollama pull "))
    assert run(*words).code == 0
    assert daemon.asked("POST", "/api/push")


@any_daemon
def test_what_a_killed_run_left(ada, daemon, tmp_path):
    """A temporary store without a run, and a name in the daemon that nobody serves, are removed."""
    left = tmp_path / "out" / f"{borrowed_store.BORROWED}killed" / "blobs"
    left.mkdir(parents=True)
    (left / "sha256-0").write_bytes(b"a part of a base")
    daemon.models.write(f"127.0.0.1:9/p{'0' * 32}/model:latest", daemon.models.read("tiny"))
    assert run("merge", ada, "--base", "tiny", "--out", tmp_path / "out" / "ada.gguf").code == 0
    assert tree(tmp_path / "out").keys() == {"ada.gguf"}
    assert names_of(daemon) == {"registry.ollama.ai/library/tiny/latest"}


@any_daemon
def test_interrupted(ada, daemon, tmp_path, monkeypatch):
    """Ctrl-C while the daemon sends leaves nothing on either side."""

    def interrupt(*_words):
        raise KeyboardInterrupt

    monkeypatch.setattr("ollama_pack.cli.output.Console.progress", interrupt)
    ran = run("merge", ada, "--base", "tiny", "--out", tmp_path / "out" / "ada.gguf")
    assert ran.code != 0
    assert not (tmp_path / "out").exists()
    assert names_of(daemon) == {"registry.ollama.ai/library/tiny/latest"}


@any_daemon
def test_the_base_has_changed(ada, daemon, tmp_path):
    """A second build from another base under the same tag says so, as it does of a base in a store."""
    words = ("build", ada, "ada", "--merge", "--base", "tiny", "--via", "folder", "--out", tmp_path / "out")
    assert run(*words).code == 0
    again = run(*words)
    assert again.code == 0
    assert "has changed since" not in again.stderr
    other = write_model(tmp_path / "other.gguf", keys=(("general.other", "yes"),))
    scratch_store.add_base(daemon.store, other, tag="tiny", template=TEMPLATE)
    changed = run(*words)
    assert changed.code == 0, changed.stderr
    assert "has changed since" in changed.stderr
