"""A model that the daemon fetches: what it is served, and what does not stay."""

import json
import re
import socket
from dataclasses import replace

import pytest
from fake_registry_client import RegistryError, ask, pull_from
from fake_store import FakeStore
from scratch_store import BASE_TAG, add_base, manifest_of
from tiny_model import base_noun, make_base

from ollama_pack.deliver import pull
from ollama_pack.deliver.image import build_image
from ollama_pack.deliver.package import UNCHANGED
from ollama_pack.errors import DestinationError, UnsupportedError
from ollama_pack.ollama import loopback_registry, manifest_probe
from ollama_pack.ollama.api_errors import UnreachableError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.manifest_probe import probe_manifest
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import image_in_store


@pytest.fixture
def daemon(fake):
    with Daemon(fake.address) as each:
        yield each


@pytest.fixture
def image(models, package):
    return build_image(package, image_in_store(models, BASE_TAG))


@pytest.fixture
def served(image):
    """Return a registry that serves a model, and the address below which it lies."""
    with loopback_registry.serving(image) as registry:
        name = registry.name
        yield registry, f"http://{name.host}/v2/{name.namespace}/{name.model}"


def own_blobs(image):
    return [layer for layer in (*image.layers, image.config) if layer.content or layer.file]


def test_what_is_learned_is_what_the_store_has(daemon, fake):
    """A daemon tells a model's layers and configuration without its store being looked into."""
    assert probe_manifest(daemon, BASE_TAG) == image_in_store(fake.store, BASE_TAG)


def test_learning_leaves_nothing(daemon, fake):
    """The name under which the daemon told the model is gone, and no blob was moved but two small ones."""
    probe_manifest(daemon, BASE_TAG)
    assert [model.name for model in daemon.models()] == [f"{BASE_TAG}:latest"]


def test_learning_what_is_not_there(daemon):
    """A model the daemon lacks cannot be learned."""
    with pytest.raises(DestinationError, match="not found"):
        probe_manifest(daemon, "nowhere")


@pytest.mark.parametrize("config", [b"[]", b"{", b""], ids=["a list", "half an object", "nothing"])
def test_a_configuration_that_is_none(daemon, fake, config, gguf_base):
    """A base whose configuration cannot be read is told."""
    document = manifest_of(fake.store, BASE_TAG)
    (fake.store / "blobs" / document["config"]["digest"].replace(":", "-")).write_bytes(config)
    with pytest.raises(DestinationError, match="configuration"):
        probe_manifest(daemon, BASE_TAG)


def test_nothing_else_stays(daemon, fake, package):
    """After the model has its own name, the one it was fetched under is gone."""
    pull.pull_model(package, daemon)
    assert {model.name for model in daemon.models()} == {f"{BASE_TAG}:latest", package.name.display}


def test_only_the_adapter_moves(daemon, package):
    """Of a base that is there nothing moves: adapter and a few small blobs are all."""
    receipt = pull.pull_model(package, daemon)
    assert package.adapter.size < receipt.bytes_written < package.adapter.size + 2000


def test_the_very_same_again(daemon, fake, package):
    """A model that is there already is fetched no second time, and told as unchanged."""
    pull.pull_model(package, daemon)
    before = len(fake.asked("POST", "/api/pull"))
    receipt = pull.pull_model(package, daemon)
    assert (receipt.lines[1], receipt.bytes_written) == (UNCHANGED, 0)
    assert len(fake.asked("POST", "/api/pull")) == before


def test_a_gguf_file_is_fetched_whole(daemon, package, tmp_path):
    """A base that is a file here, and not yet in the daemon, moves too."""
    file = make_base(tmp_path / "other.gguf", seed=9)
    receipt = pull.pull_model(replace(package, base=base_noun(gguf_file=file)), daemon)
    assert receipt.bytes_written > file.stat().st_size + package.adapter.size


@pytest.mark.parametrize("step", ["pull", "copy", "unload"])
def test_a_step_that_fails(daemon, package, monkeypatch, step):
    """Whatever fails, the name it was fetched under does not stay, and the next run succeeds."""
    real = getattr(Daemon, step)

    def fails(self, *words, **more):
        if step == "pull":
            real(self, *words, **more)
        raise DestinationError("The daemon says: no")

    monkeypatch.setattr(Daemon, step, fails)
    with pytest.raises(DestinationError):
        pull.pull_model(package, daemon)
    assert not any(model.name.startswith("127.0.0.1") for model in daemon.models())
    monkeypatch.setattr(Daemon, step, real)
    assert pull.pull_model(package, daemon).digest


def test_what_a_killed_run_left(daemon, fake, package):
    """A name of a run that was killed is removed; one that is still being served is another run's."""
    with loopback_registry.listening(loopback_registry.Handler) as server:
        ports = ("9", str(server.server_port), fake.address.rpartition(":")[2])
        dead = {f"127.0.0.1:{port}/p{'0' * 32}/model:latest" for port in ports}
        for name in (*dead, server.name.display):
            daemon.copy(BASE_TAG, name)
        pull.pull_model(package, daemon)
        names = {model.name for model in daemon.models()}
        assert server.name.display in names
    assert not dead & names, "something else at the port of a name is not the name"


def test_a_registry_that_is_slow_to_say(monkeypatch):
    """Whoever may still be serving a name keeps it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(loopback_registry, "PROBE_SECONDS", 0.1)
        assert loopback_registry.is_served(parse_name(f"127.0.0.1:{silent.getsockname()[1]}/p/model"))


def test_a_daemon_elsewhere(package):
    """A daemon on another machine is not asked to fetch from this one's loopback."""
    with (
        Daemon("http://192.0.2.1:11434") as each,
        pytest.raises(UnreachableError, match="another machine"),
    ):
        pull.pull_model(package, each)


def test_a_daemon_that_does_not_come(daemon, fake, package, monkeypatch):
    """A daemon in a container does not reach this machine: that is said, with what would help."""
    monkeypatch.setattr(manifest_probe, "probe_manifest", lambda *_: image_in_store(fake.store, BASE_TAG))
    fake.mood = "far"
    with pytest.raises(UnreachableError, match="did not request the model") as caught:
        pull.pull_model(package, daemon)
    assert "container" in caught.value.hint


def test_a_base_that_ignores_adapters(daemon, fake, package, gguf_base):
    """A base of another engine is refused before anything is fetched."""
    add_base(fake.store, gguf_base, tag="mlx", engine="safetensors")
    with pytest.raises(UnsupportedError, match="not a GGUF model"):
        pull.pull_model(replace(package, base=base_noun(tag="mlx")), daemon)
    assert not fake.asked("POST", "/api/pull")


def test_a_registry_serves_one_model(served, image, tmp_path):
    """What is fetched is the model, byte for byte; blobs of the base are not to be had."""
    registry, base = served
    for layer in image.layers:
        if layer not in own_blobs(image):
            assert ask("GET", f"{base}/blobs/{layer.digest}")[0] == 404
    store = tmp_path / "other"
    (store / "blobs").mkdir(parents=True)
    for layer in image.layers:
        if layer not in own_blobs(image):
            (store / "blobs" / layer.digest.replace(":", "-")).touch()
    pull_from(registry.name.display, FakeStore(store), lambda: None)
    assert FakeStore(store).read(registry.name.display) == image.manifest
    assert registry.fetched == {layer.digest for layer in own_blobs(image)}


def test_a_registry_is_read_only(served):
    """Nothing can be put there, and nothing else be had."""
    _, base = served
    assert {ask(method, f"{base}/blobs/uploads/")[0] for method in ("POST", "PUT", "PATCH", "DELETE")} == {
        501
    }
    for path in ("", "/", "/v2/", "/v2/_catalog", "/v2/library/model/manifests/latest", "/../../etc/passwd"):
        assert ask("GET", f"{base.partition('/v2/')[0]}{path}")[0] == 404
    assert ask("GET", f"{base}/manifests/other")[0] == 404
    assert ask("GET", f"{base}/blobs/sha256:{'0' * 64}")[0] == 404


def test_a_name_nobody_can_guess(image):
    """Each registry has 128 random bits in its name, and listens on loopback alone."""
    names = set()
    for _ in range(3):
        with loopback_registry.serving(image) as registry:
            assert re.fullmatch(r"127\.0\.0\.1:\d+", registry.name.host)
            names.add(registry.name.namespace)
    assert all(re.fullmatch(r"p[0-9a-f]{32}", name) for name in names)
    assert len(names) == 3
    assert parse_name(registry.name.display) == registry.name


def test_a_registry_is_gone_with_its_block(image):
    """After the block nothing listens any more."""
    with loopback_registry.serving(image) as registry:
        pass
    with pytest.raises(RegistryError, match="refused"):
        ask("GET", f"http://{registry.name.host}/v2/")


def test_ranges(served, image):
    """A part of a blob is answered as a part, with its place; HEAD tells the size, and both a Location."""
    _, base = served
    layer = next(layer for layer in own_blobs(image) if layer.file)
    url, content = f"{base}/blobs/{layer.digest}", layer.file.read_bytes()
    status, headers, body = ask("HEAD", url)
    assert (status, int(headers["Content-Length"]), body) == (200, layer.size, b"")
    assert headers["Location"] == url
    for text, span in (("0-9", (0, 9)), ("5-", (5, layer.size - 1)), (f"7-{10**12}", (7, layer.size - 1))):
        status, headers, body = ask("GET", url, Range=f"bytes={text}")
        assert (status, body) == (206, content[span[0] : span[1] + 1])
        assert headers["Content-Range"] == f"bytes {span[0]}-{span[1]}/{layer.size}"
    assert ask("GET", url, Range=f"bytes={layer.size}-")[0] == 416
    assert ask("GET", url, Range="lines=1-2")[2] == content


def test_the_manifest_is_what_a_daemon_asks_for(served, image):
    """The manifest has the type that Ollama asks for."""
    registry, base = served
    assert not registry.asked
    status, headers, body = ask("GET", f"{base}/manifests/latest")
    assert (status, body) == (200, image.manifest)
    assert headers["Content-Type"] == json.loads(image.manifest)["mediaType"]
    assert registry.asked
