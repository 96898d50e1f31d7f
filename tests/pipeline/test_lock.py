"""The record of a build: what it was made of, the same bytes each time, and what it is good for later."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from scratch_store import upgrade
from terminal import add_base, run

from ollama_pack import __version__
from ollama_pack.disk.files import sha256_of_file
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path
from ollama_pack.pipeline import build
from ollama_pack.pipeline.lock import LOCK_NAME, describe_base_change, read_lock
from ollama_pack.pipeline.request import Request

TAG = "vicuna:7b"
NOW = {"manifest": "a" * 64, "blob": f"sha256:{'b' * 64}"}
DAMAGED = ["", "{", "[]", '{"base": 3}', '{"base": {"tag": "vicuna:7b", "blob": 7}}']


@pytest.fixture
def request_(make_adapter, tiny_gguf, tmp_path, monkeypatch):
    """Return a build into a scratch store."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = tmp_path / "models"
    return Request(directory=make_adapter(), name="ada", base=str(tiny_gguf), via="store", store=store)


def test_what_is_recorded(request_, tiny_gguf):
    """Digests of the model, the adapter and its files, the base and the Modelfile; no date and no path."""
    outcome = build.build(request_)
    text = outcome.lock.read_text()
    document = json.loads(text)
    assert (document["schema_version"], document["kind"], document["model"]) == (2, "lock", "ada")
    assert document["ollama_pack"] == __version__
    names = ("adapter_config.json", "adapter_model.safetensors")
    (files,) = document["adapter"]["sources"]
    assert files == {name: sha256_of_file(request_.directory / name) for name in names}
    assert document["manifest"] == f"sha256:{outcome.receipt.digest}"
    assert document["adapter"]["gguf"] == outcome.lora.digest
    assert document["base"]["blob"] == outcome.receipt.base_blob
    assert re.fullmatch("sha256:[0-9a-f]{64}", document["base"]["blob"])
    assert "/" not in re.sub(r'"source_id": "[^"]*"', "", text)
    assert not re.search(r"20[0-9]{2}-", text)


def test_the_same_build_writes_the_same(request_):
    """Byte for byte, and the file is not touched."""
    first = build.build(request_).lock
    content, when = first.read_bytes(), first.stat().st_mtime_ns
    build.build(request_)
    assert (first.read_bytes(), first.stat().st_mtime_ns) == (content, when)


def test_a_modelfile_nobody_edited_is_not_kept(request_, tmp_path):
    """What the last build wrote among the output is replaced without a copy; what was edited since is not."""
    request_ = replace(request_, out=tmp_path / "out")
    old = tmp_path / "out" / "Modelfile.txt.old"
    build.build(request_)
    build.build(replace(request_, system="Be new."))
    assert not old.exists()
    written = tmp_path / "out" / "Modelfile.txt"
    written.write_text(f"{written.read_text()}PARAMETER top_k 3\n")
    build.build(replace(request_, system="Be newer."))
    assert "top_k 3" in old.read_text()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"base": 3}', '{"base": {"tag": "vicuna:7b", "blob": 7}}']
)
def test_a_damaged_lock_is_written_anew(request_, content):
    """It costs nothing but a message."""
    folder = request_.directory / "ollama"
    folder.mkdir()
    (folder / LOCK_NAME).write_text(content)
    assert json.loads(build.build(request_).lock.read_text())["model"] == "ada"


def test_a_base_that_has_moved_is_told():
    """The same tag with other weights, or another manifest where the weights are not known."""
    then = {"tag": "vicuna:7b", "manifest": f"sha256:{'a' * 64}", "blob": f"sha256:{'b' * 64}"}
    assert describe_base_change({"base": then}, TAG, **NOW) == ""
    told = describe_base_change({"base": {**then, "blob": f"sha256:{'c' * 64}"}}, TAG, **NOW)
    assert told.startswith("vicuna:7b has changed since the last build: its blob was sha256:cccc")
    told = describe_base_change({"base": {**then, "manifest": f"sha256:{'c' * 64}", "blob": ""}}, TAG, **NOW)
    assert "its manifest was sha256:cccc" in told
    assert describe_base_change({"base": {**then, "tag": "vicuna:13b", "blob": ""}}, TAG, **NOW) == ""
    assert describe_base_change({}, TAG, **NOW) == ""
    assert describe_base_change({"base": then}, TAG) == ""


def test_another_file_as_the_base_is_told(request_, tiny_gguf, tmp_path):
    """A build on other weights than the last one says so."""
    build.build(request_)
    other = tmp_path / "other.gguf"
    content = bytearray(tiny_gguf.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    ran = run(
        *("build", request_.directory, "ada", "--base", other, "--via", "store", "--store", request_.store)
    )
    assert ran.code == 0
    assert "the base has changed since the last build: its blob was" in ran.stderr
    again = run(
        *(
            "build",
            request_.directory,
            "ada",
            "--base",
            tiny_gguf,
            "--via",
            "store",
            "--store",
            request_.store,
        ),
        "--json",
    )
    assert again.document["delivery"]["base_moved"]["what"] == "blob"
    assert read_lock(request_.directory / "ollama")["base"]["blob"] not in ran.stderr


def test_elsewhere_the_lock_is_the_same(request_, tiny_gguf, tmp_path):
    """The same release in another place, on a base in another place, has the same lock byte for byte."""
    request_ = replace(request_, via="folder", store=None)
    other = tmp_path / "far" / "away"
    other.mkdir(parents=True)
    moved = replace(
        request_,
        directory=shutil.copytree(request_.directory, other / "lora"),
        base=str(shutil.copy(tiny_gguf, other / "renamed.gguf")),
        out=other / "release",
    )
    here, there = build.build(replace(request_, out=tmp_path / "out")), build.build(moved)
    assert here.modelfile.read_bytes() != there.modelfile.read_bytes()
    assert here.lock.read_bytes() == there.lock.read_bytes()


@pytest.mark.parametrize("newer", [False, True])
def test_a_folder_records_its_base(request_, tiny_gguf, tmp_path, monkeypatch, newer):
    """With --via folder, manifest and weights of an installed base are recorded, as a registration would."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    add_base(tmp_path / "models", tiny_gguf, "tiny", "latest")
    digest = sha256_of_file(manifest_path(tmp_path / "models", parse_name("tiny")))
    if newer:
        upgrade(tmp_path / "models")
    (request_.directory / "Modelfile.txt").write_text("FROM tiny\n")
    request_ = replace(request_, base="")
    locks = [
        json.loads(build.build(replace(request_, via=via, out=tmp_path / via)).lock.read_text())
        for via in ("folder", "store")
    ]
    base = locks[0]["base"]
    assert (base["tag"], base["manifest"], base["blob"]) == (
        *("tiny:latest", digest),
        sha256_of_file(tiny_gguf),
    )
    assert locks[0] == locks[1]


def test_a_failed_delivery_leaves_a_lock_of_the_files(request_, tmp_path):
    """What lies in the folder is recorded before the delivery, so that `register` can go on after it."""
    first = build.build(request_).lock.read_bytes()
    blocked = tmp_path / "blocked"
    blocked.write_text("no store")
    with pytest.raises(DestinationError, match="register") as caught:
        build.build(replace(request_, system="Be new.", store=blocked))
    assert "register" in caught.value.hint
    lock = read_lock(request_.directory / "ollama")
    assert lock["manifest"] == lock["base"]["blob"] == ""
    assert lock["modelfile"] != json.loads(first)["modelfile"]
