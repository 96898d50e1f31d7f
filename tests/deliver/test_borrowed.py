"""A model that a daemon sends: the registry that takes it, and the temporary store that it becomes."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator

import fake_daemon
import pytest
from fake_registry_client import RegistryError, ask
from scratch_store import BASE_TAG, manifest_of
from ways import live

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.borrowed_store import BORROWED, lending, require_room, temporary_store
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.manifest_probe import probe_manifest
from ollama_pack.ollama.push_registry import PushedModel, awaiting_push, push_into
from ollama_pack.ollama.store import image_in_store
from ollama_pack.ollama.store_layout import blob_path

ONE, TWO = b"one" * 700, b"two"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(params=[live(f"fake {name}") for name in fake_daemon.CHARACTERS] + [live("real daemon")])
def lender(request) -> Iterator[tuple[Daemon, object]]:
    """Return a daemon of every generation, and its store."""
    (whom,) = request.param
    if whom == "real daemon":
        real = request.getfixturevalue("real")
        with Daemon(real.address) as daemon:
            yield daemon, real.store
        return
    models = request.getfixturevalue("models")
    with fake_daemon.running(models, whom.removeprefix("fake ")) as server, Daemon(server.address) as daemon:
        yield daemon, models


def test_a_store_of_its_own(lender, tmp_path):
    """What is read there is what the daemon's store has; afterwards nothing is left on either side."""
    daemon, store = lender
    before, told = [model.name for model in daemon.models()], []
    with temporary_store(tmp_path / "made" / "here") as borrowed:
        with lending(daemon, BASE_TAG) as lent:
            assert lent.manifest.size > 1000
            lent.push(borrowed, lambda *words: told.append(words))
        image = image_in_store(borrowed, BASE_TAG)
        assert image == image_in_store(store, BASE_TAG)
        for layer in image.layers:
            assert digest_of(blob_path(borrowed, layer.digest).read_bytes()) == layer.digest
        assert len(list((borrowed / "blobs").iterdir())) == len(image.layers) + 1
    assert not (tmp_path / "made").exists()
    assert [model.name for model in daemon.models()] == before
    assert told[-1] == (f"receiving {BASE_TAG}", lent.manifest.size, lent.manifest.size)


def test_a_list_of_manifests(models, tmp_path):
    """Of a model with one manifest for each engine, that for llama.cpp is sent."""
    child = json.dumps(manifest_of(models, BASE_TAG)).encode()
    digest = digest_of(child)
    blob_path(models, digest).write_bytes(child)
    children = [{"runner": "llamacpp", "digest": digest, "size": len(child)}]
    kind = "application/vnd.ollama.manifest.list.v2+json"
    with fake_daemon.running(models, "0.40") as server, Daemon(server.address) as daemon:
        server.models.write("both", json.dumps({"mediaType": kind, "manifests": children}).encode())
        with temporary_store(tmp_path) as store, lending(daemon, "both") as lent:
            lent.push(store)
            image, probed = image_in_store(store, "both"), probe_manifest(daemon, "both")
    assert image == probed


@pytest.fixture
def awaiting(fake, tmp_path):
    """Return what a registry takes, into files, and the address below which it lies."""
    with Daemon(fake.address) as daemon, awaiting_push(daemon, BASE_TAG) as server:
        (tmp_path / "blobs").mkdir()
        pushed = PushedModel({digest_of(ONE): len(ONE), digest_of(TWO): len(TWO)}, tmp_path / "blobs")
        server.registry = pushed
        name = server.name
        yield pushed, f"http://{name.host}/v2/{name.namespace}/{name.model}"
        pushed.close()


def begin(base: str) -> str:
    status, headers, _ = ask("POST", f"{base}/blobs/uploads/?mount=sha256:0&from=library/other")
    assert status == 202
    return headers["Location"]


def part(place: str, start: int, content: bytes) -> int:
    span = f"{start}-{start + len(content) - 1}"
    return ask("PATCH", place, content, Content_Range=span, X_Redirect_Uploads="1")[0]


def test_parts(awaiting, tmp_path):
    """A blob comes in parts, in their order; a part out of turn is refused, and the right one taken."""
    pushed, base = awaiting
    place = begin(base)
    assert part(place, 0, ONE[:1000]) == 202
    assert part(place, 0, ONE[:1000]) == 416
    assert part(place, 1500, ONE[1500:]) == 416
    assert part(place, 1000, ONE[1000:]) == 202
    assert ask("PUT", f"{place}?digest={digest_of(ONE)}&etag=x-2")[0] == 201
    assert blob_path(tmp_path, digest_of(ONE)).read_bytes() == ONE
    assert ask("HEAD", f"{base}/blobs/{digest_of(ONE)}")[0] == 200
    assert ask("HEAD", f"{base}/blobs/{digest_of(TWO)}")[0] == 404
    assert ask("HEAD", f"{base}/blobs/sha256:{'0' * 64}")[0] == 200
    assert pushed.received == len(ONE)


def test_what_is_not_asked_for(awaiting, tmp_path):
    """Other bytes are not kept, and not more than those that are wanted; nor is a request elsewhere."""
    pushed, base = awaiting
    place = begin(base)
    assert part(place, 0, b"x" * len(ONE)) == 202
    assert ask("PUT", f"{place}?digest={digest_of(ONE)}")[0] == 201
    assert (pushed.blobs, list((tmp_path / "blobs").iterdir())) == ({}, [])
    place = begin(base)
    assert part(place, 0, b"x" * (len(ONE) + len(TWO) + 1)) == 413
    begin(base)
    assert ask("POST", f"{base}/blobs/uploads/")[0] == 400
    assert ask("POST", f"{base[:-5]}other/blobs/uploads/")[0] == 404
    assert ask("PATCH", f"{base}/blobs/uploads/0123456789abcdef", b"x")[0] == 404
    assert ask("PUT", f"{base}/blobs/uploads/0123456789abcdef?digest=x")[0] == 404
    assert ask("PUT", f"{base}/blobs/uploads/../../x?digest=x")[0] == 404
    with contextlib.suppress(RegistryError):  # it hangs up before all is sent
        assert ask("PUT", f"{base}/manifests/latest", b"x" * ((1 << 20) + 1))[0] == 413
    assert not pushed.manifests
    assert len(list((tmp_path / "blobs").iterdir())) == 2, "two uploads are under way"
    pushed.close()
    assert list((tmp_path / "blobs").iterdir()) == []
    assert ask("POST", f"{base}/blobs/uploads/")[0] == 400, "it is closed"


def test_a_disk_that_is_full(lender, tmp_path, monkeypatch):
    """The error of the disk is raised at once, and not after the daemon has tried for a minute."""

    def full(_upload, _length, _read):
        raise OSError(28, os.strerror(28))

    daemon, _ = lender
    with temporary_store(tmp_path / "here") as store, lending(daemon, BASE_TAG) as lent:
        monkeypatch.setattr("ollama_pack.ollama.push_registry._PushedBlob.take", full)
        with pytest.raises(DestinationError, match="The disk is full"):
            lent.push(store)
    assert not (tmp_path / "here").exists()


def test_a_part_that_breaks_off(awaiting):
    """What has arrived of it does not count: the daemon sends it again from its start."""
    pushed, base = awaiting
    place = begin(base)
    assert part(place, 0, ONE[:100]) == 202
    (upload,) = pushed.uploads.values()
    pieces = iter([ONE[100:600], b""])
    assert not upload.take(len(ONE) - 100, lambda _: next(pieces))
    assert (upload.size, pushed.received) == (100, 100)
    assert part(place, 100, ONE[100:]) == 202
    ask("PUT", place)
    assert digest_of(ONE) in pushed.blobs


def test_room(tmp_path):
    """What is too large for the disk is refused before it is made."""
    require_room(tmp_path, 1, "nothing")
    with pytest.raises(DestinationError, match="There is no room for a base"):
        require_room(tmp_path, 1 << 60, "a base")


def test_a_push_of_nothing(fake):
    """A registry that asks for nothing is sent the manifest alone."""
    with Daemon(fake.address) as daemon, awaiting_push(daemon, BASE_TAG) as server:
        pushed = push_into(daemon, server, PushedModel())
    assert (list(pushed.manifests), pushed.blobs) == (["latest"], {})
    assert BORROWED.startswith(".")
