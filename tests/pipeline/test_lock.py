"""The record of a build: what it was made of, the same bytes each time, and what it is good for later."""

import json
import re
from dataclasses import replace

import pytest
from terminal import run

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Receipt
from ollama_pack.pipeline import build
from ollama_pack.pipeline.lock import LOCK_NAME, describe_base_change, read_lock
from ollama_pack.pipeline.request import Request

BASE = BaseModel(
    hparams=HParams(arch="llama", blocks=1, heads=1, kv_heads=1, head_dim=1, hidden=1), tag="vicuna:7b"
)
RECEIPT = Receipt("store", "ada", "0" * 64, "", 0, base_manifest="a" * 64, base_blob=f"sha256:{'b' * 64}")
DAMAGED = ["", "{", "[]", '{"base": 3}', '{"base": {"tag": "vicuna:7b", "blob": 7}}']


@pytest.fixture
def request_(make_adapter, tiny_gguf, tmp_path, monkeypatch):
    """Return a build into a scratch store."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = tmp_path / "models"
    return Request(directory=make_adapter(), name="ada", base=str(tiny_gguf), via="store", store=store)


def test_what_is_recorded(request_, tiny_gguf):
    """Digests of the model, the adapter, the base and the Modelfile; neither a date nor a path."""
    outcome = build.build(request_)
    text = outcome.lock.read_text()
    document = json.loads(text)
    assert (document["schema_version"], document["kind"], document["model"]) == (1, "lock", "ada")
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
    assert describe_base_change({"base": then}, BASE, RECEIPT) == ""
    told = describe_base_change({"base": {**then, "blob": f"sha256:{'c' * 64}"}}, BASE, RECEIPT)
    assert told.startswith("vicuna:7b has changed since the last build: its blob was sha256:cccc")
    told = describe_base_change(
        {"base": {**then, "manifest": f"sha256:{'c' * 64}", "blob": ""}}, BASE, RECEIPT
    )
    assert "its manifest was sha256:cccc" in told
    assert describe_base_change({"base": {**then, "tag": "vicuna:13b", "blob": ""}}, BASE, RECEIPT) == ""
    assert describe_base_change({}, BASE, RECEIPT) == ""
    assert describe_base_change({"base": then}, BASE, replace(RECEIPT, base_manifest="", base_blob="")) == ""


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
    assert read_lock(request_.directory / "ollama")["base"]["blob"] not in ran.stderr
