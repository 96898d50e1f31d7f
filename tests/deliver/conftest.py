"""Fixtures for every destination: a tiny base, an adapter, and the deliveries."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import fake_daemon
import pytest
import real_daemon
from homes import Home
from scratch_store import BASE_TAG, add_base, upgrade
from tiny_model import base_noun, make_adapter, make_base
from ways import NOBODY, WAYS, Way, live, way_to

from ollama_pack.deliver.package import Package
from ollama_pack.lora.plan import LoraFile
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name

_NUMBERS = count()


@pytest.fixture(scope="session")
def gguf_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> LoraFile:
    return make_adapter(tmp_path_factory.mktemp("adapter") / "lora.gguf")


@pytest.fixture
def models(tmp_path: Path, gguf_base: Path) -> Path:
    """Return a store that has the tiny base."""
    add_base(tmp_path / "models", gguf_base)
    return tmp_path / "models"


@pytest.fixture
def fake(models: Path) -> Iterator[fake_daemon.FakeDaemon]:
    with fake_daemon.running(models) as state:
        yield state


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, gguf_base: Path) -> Iterator[real_daemon.RealDaemon]:
    with real_daemon.running(tmp_path_factory.mktemp("ollama")) as daemon:
        add_base(daemon.store, gguf_base)
        yield daemon


@pytest.fixture
def package(adapter: LoraFile) -> Package:
    """Return a package on the tiny base that leaves everything to the base."""
    return Package(name=parse_name(f"model-{next(_NUMBERS)}"), adapter=adapter, base=base_noun(tag=BASE_TAG))


@pytest.fixture(params=[live(whom, via) for via, whom in WAYS])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    via, whom = request.param
    if whom.endswith("layout"):
        models = request.getfixturevalue("models")
        if whom == "newer layout":
            upgrade(models)
        yield way_to(via, OllamaLocations(NOBODY, (models,), named=True), models)
    elif whom == "real daemon":
        server = request.getfixturevalue("real")
        yield way_to(via, OllamaLocations(server.address, (server.store,)), server.store)
    else:
        models = request.getfixturevalue("models")
        with fake_daemon.running(models, whom.removeprefix("fake ")) as server:
            yield way_to(via, OllamaLocations(server.address, ()), models)


@pytest.fixture(
    params=[live(whom) for whom in ("older layout", "newer layout", "fake 0.33", "fake 0.40", "real daemon")]
)
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    (whom,) = request.param
    if whom == "real daemon":
        server = request.getfixturevalue("real")
        yield Home(OllamaLocations(server.address, ()), server.store)
        return
    models = request.getfixturevalue("models")
    if whom.endswith("layout"):
        if whom == "newer layout":
            upgrade(models)
        yield Home(OllamaLocations(NOBODY, (models,), named=True), models)
        return
    with fake_daemon.running(models, whom.removeprefix("fake ")) as server:
        yield Home(OllamaLocations(server.address, ()), models)
