"""Bases that are not on this machine: what is fetched, how little, and what is not believed."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import fake_web
import httpx
import pytest
from gguf import GGUFWriter
from test_hf_cache import CONFIG

from ollama_pack.base import online
from ollama_pack.base.find import BaseReferences, find_base
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.online import find_online, hub_config, registry_base
from ollama_pack.errors import DestinationError, InputError, UnsupportedError
from ollama_pack.http.fetch import LARGEST_DOCUMENT
from ollama_pack.pipeline.inputs import expected_base
from ollama_pack.pipeline.request import Request

MINE = "/me/mine/resolve/main/config.json"


@pytest.fixture
def web(monkeypatch):
    """Return a web that is Hugging Face too."""
    with fake_web.running() as each:
        monkeypatch.setenv("HF_ENDPOINT", each.address)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield each


@pytest.fixture
def mine(web):
    """Return a web where Hugging Face has the model ``me/mine``."""
    web.files[MINE] = json.dumps(CONFIG).encode()
    return web


def test_a_model_of_hugging_face(mine):
    """Its config.json says all a conversion needs, and where that was read."""
    base = find_online("me/mine", os.environ)
    assert (base.hparams.blocks, base.hparams.heads, base.hparams.kv_heads, base.hparams.hidden) == (
        2,
        4,
        2,
        64,
    )
    assert (base.source_id, base.tag) == ("me/mine", "")
    assert base.origin == f"config.json of me/mine at {mine.address}"


def test_no_such_model(web):
    """What neither knows is not found; and what is no id is not asked for there."""
    web.answers["/me/none/resolve/main/config.json"] = (404, {})
    assert hub_config("me/none", os.environ) is None
    assert hub_config("../etc/passwd", os.environ) is None
    assert len(web.asked) == 1


def test_a_gated_model(web, monkeypatch):
    """One whose licence must be accepted is told, with what opens it; the token goes to nobody else."""
    web.answers[MINE] = (401, {})
    with pytest.raises(DestinationError, match="401") as caught:
        hub_config("me/mine", os.environ)
    assert "HF_TOKEN" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with fake_web.running() as other:
        web.answers[MINE] = (307, {"Location": f"{other.address}/elsewhere"})
        other.files["/elsewhere"] = json.dumps(CONFIG).encode()
        assert hub_config("me/mine", os.environ).values["vocab_size"] == 320
        assert web.asked[-1][2] == "Bearer hf_secret"
        assert other.asked[-1][2] == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"<html>", "not JSON"), (b"[]", "not a JSON object"), (b"[" * 10**6, "not JSON"), (b"\xff", "not JSON"),
     (b" " * (LARGEST_DOCUMENT + 9), "more than"), (b"{}", "class none")],
)  # fmt: skip
def test_a_config_that_is_none(web, content, said):
    """Whatever comes in its place is told with its address."""
    web.files[MINE] = content
    with pytest.raises((InputError, UnsupportedError), match=said) as caught:
        find_online("me/mine", os.environ)
    assert caught.value.where.startswith(f"{web.address}{MINE}")


def test_nobody_there(monkeypatch):
    """An address where nobody answers, and a circle of redirections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DestinationError, match="does not answer"):
        hub_config("me/mine", {"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
    with fake_web.running() as web:
        web.answers[MINE] = (302, {"Location": MINE})
        with pytest.raises(DestinationError, match="redirects"):
            hub_config("me/mine", {"HF_ENDPOINT": web.address})
        web.answers[MINE] = (500, {})
        with pytest.raises(DestinationError, match="500"):
            hub_config("me/mine", {"HF_ENDPOINT": web.address})


@pytest.mark.parametrize("first", [64, 1 << 10, 1 << 20])
def test_a_model_of_a_registry(web, tiny_gguf, monkeypatch, first):
    """A header that comes in pieces gives what the file gives."""
    monkeypatch.setattr(online, "FIRST_READ", first)
    web.model("me/tiny", tiny_gguf.read_bytes())
    name = f"{web.host}/me/tiny"
    base, file = registry_base(name), read_base_gguf(tiny_gguf)
    assert base.hparams == file.hparams
    assert (base.tag, base.gguf) == (f"{name}:latest", None)
    assert base.origin == f"header of {name}:latest at {web.host}"


def large_header(path: Path, tokens: int) -> bytes:
    """Return the header of a model with many tokens, and no weight."""
    writer = GGUFWriter(path, "gemma3")
    for key, value in (("block_count", 1), ("embedding_length", 8), ("attention.head_count", 1)):
        writer.add_uint32(f"gemma3.{key}", value)
    writer.add_token_list([f"token {number}" for number in range(tokens)])
    writer.add_tensor_info("blk.0.attn_q.weight", (1 << 16, 1 << 18), "float16", 1 << 35, raw_dtype=1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path.read_bytes()


def test_forty_gigabytes(web, tmp_path):
    """Of a large model with the vocabulary of a Gemma the header is fetched, 5 MB here, and no weight."""
    header = large_header(tmp_path / "header.gguf", 262_144)
    web.model("me/large", header + bytes(8 << 20), size=40 << 30)
    base = registry_base(f"{web.host}/me/large")
    assert (base.hparams.vocab, base.tensors["blk.0.attn_q.weight"]) == (262_144, (1 << 16, 1 << 18))
    assert web.sent < 2 * len(header) < 12 << 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("no model", "not a GGUF model"),
        ("a size beyond all", "not a GGUF model"),
        ("no blob", "less of this file"),
        ("half a blob", "less of this file"),
        ("no GGUF", "not GGUF"),
        ("damaged", "does not end|tensors"),
        ("no end", "does not end within 1024 bytes"),
    ],
)
def test_a_registry_that_lies(web, tiny_gguf, change, said, monkeypatch):
    """What a registry promises and does not hold is told, and memory stays small."""
    monkeypatch.setattr(online, "FIRST_READ", 256)
    monkeypatch.setattr(online, "LARGEST_HEADER", 1024)
    content = tiny_gguf.read_bytes()
    web.model("me/tiny", content)
    blob = next(path for path in web.files if "/blobs/" in path)
    manifest = blob.partition("blobs")[0] + "manifests/latest"
    if change == "no model":
        web.files[manifest] = b'{"layers": [3, {"mediaType": "x"}]}'
    elif change == "a size beyond all":
        web.model("me/tiny", content, size=1 << 60)
    elif change == "no blob":
        del web.files[blob]
    elif change == "half a blob":
        web.files[blob] = content[:200]
    elif change == "no GGUF":
        web.files[blob] = b"PK" + content
    elif change == "damaged":
        web.files[blob] = content[:8] + b"\xff" * 8 + content[16:]
    with pytest.raises(InputError, match=said):
        registry_base(f"{web.host}/me/tiny")
    assert web.sent < 8192


def test_a_registry_without_ranges(web, tiny_gguf, monkeypatch):
    """One that sends the whole in place of a part is told; where the first part is enough, it will do."""
    web.ranges = False
    web.model("me/tiny", tiny_gguf.read_bytes())
    assert registry_base(f"{web.host}/me/tiny").hparams.blocks
    monkeypatch.setattr(online, "FIRST_READ", 256)
    with pytest.raises(DestinationError, match="sent the whole file"):
        registry_base(f"{web.host}/me/tiny")


def test_only_when_asked(mine, tmp_path):
    """Nobody is asked without --online; with it the base is found, and nobody is asked about a known one."""
    with pytest.raises(InputError, match="No base is known"):
        find_base(BaseReferences(adapter_base="me/mine"))
    expected_base(tmp_path, "me/mine", Request(directory=tmp_path), os.environ)
    assert mine.asked == []
    for clues in (
        BaseReferences(adapter_base="me/mine"),
        BaseReferences(option="me/mine"),
        BaseReferences(modelfile_from="me/mine"),
    ):
        assert find_base(clues, online=lambda name: find_online(name, os.environ)).hparams.blocks == 2
    asked = len(mine.asked)
    assert (
        find_base(BaseReferences(option="vicuna:7b"), online=lambda _: pytest.fail("asked")).tag
        == "vicuna:7b"
    )
    assert len(mine.asked) == asked


def test_the_proof_has_its_numbers(mine, make_adapter):
    """What config.json says of the base counts in the proof: heads, positions; a silent web is a note."""
    request = Request(directory=make_adapter(), online=True)
    known = expected_base(request.directory, "me/mine", request, os.environ)
    assert (known.hparams.heads, known.positions.rope_base, known.positions.context) == (4, 500000.0, 8192)
    mine.answers[MINE] = (503, {})
    known = expected_base(request.directory, "me/mine", request, os.environ)
    assert known.hparams is None
    assert any("not compared" in note and "503" in note for note in known.notes)


def push(host: str, content: bytes) -> None:
    """Put a model into a registry that has just been started, the way a client does."""
    place, wait = f"http://{host}/v2/me/tiny", time.monotonic() + 20
    with httpx.Client(trust_env=False) as client:
        while True:
            try:
                upload = client.post(f"{place}/blobs/uploads/").headers["Location"]
                break
            except httpx.TransportError:
                assert time.monotonic() < wait, "the registry does not come up"
                time.sleep(0.05)
        layers = []
        for kind, blob in (("image.model", content), ("image.config", b"{}")):
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            sent = client.put(httpx.URL(upload).copy_merge_params({"digest": digest}), content=blob)
            assert sent.status_code == 201
            layers.append(
                {"mediaType": f"application/vnd.ollama.{kind}", "digest": digest, "size": len(blob)}
            )
            upload = client.post(f"{place}/blobs/uploads/").headers["Location"]
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        config = {**layers[1], "mediaType": "application/vnd.docker.container.image.v1+json"}
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers[:1]}
        put = client.put(f"{place}/manifests/1", json=manifest, headers={"Content-Type": kind})
        assert put.status_code == 201, put.text


REGISTRY = os.environ.get("OLLAMA_PACK_TEST_REGISTRY") or shutil.which("docker-registry")


@pytest.mark.skipif(
    not REGISTRY, reason="NOT TESTED: no docker-registry here (Debian's package of that name)"
)
def test_a_real_registry(tiny_gguf, tmp_path):
    """Debian's docker-registry serves the header like any other registry."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}\n"
        f"http: {{addr: '{host}'}}\n"
    )
    process = subprocess.Popen(
        [REGISTRY, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        push(host, tiny_gguf.read_bytes())
        base = registry_base(f"{host}/me/tiny:1")
        assert (base.tensors, base.tag) == (read_base_gguf(tiny_gguf).tensors, f"{host}/me/tiny:1")
        assert registry_base(f"{host}/me/tiny:2") is None
    finally:
        process.terminate()
        process.wait()


def test_nothing_is_packed(web, tiny_gguf):
    """A part of a file is asked for as it is: of a packed answer it would be another part."""
    web.model("me/tiny", tiny_gguf.read_bytes())
    registry_base(f"{web.host}/me/tiny")
    assert web.encodings == {"identity"}
