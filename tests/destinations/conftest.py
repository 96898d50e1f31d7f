"""Fixtures for every destination: a tiny base, an adapter, and the ways in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType

import fake_daemon
import pytest
import real_daemon
from scratch_store import BASE_TAG, add_base, upgrade
from tiny_model import base_noun, make_adapter, make_base

from ollama_pack.destinations import create, pull, store
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.package import Package, Plan
from ollama_pack.names import parse_name
from ollama_pack.parts import LoraFile, Receipt

_NUMBERS = count()


@dataclass(frozen=True)
class Way:
    """A destination under test: how to put, how to plan, and the store it ends in."""

    put: Callable[..., Receipt]
    plan: Callable[..., Plan]
    store: Path


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


@pytest.fixture(
    params=[
        "store",
        "store, newer layout",
        "create, fake daemon",
        "pull, fake daemon",
        pytest.param("create, real daemon", marks=pytest.mark.live),
        pytest.param("pull, real daemon", marks=pytest.mark.live),
    ]
)
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    if request.param.startswith("store"):
        models = request.getfixturevalue("models")
        if "newer" in request.param:
            upgrade(models)
        yield Way(partial(_put_in_store, models), partial(_plan_in_store, models), models)
        return
    server = request.getfixturevalue("fake" if "fake" in request.param else "real")
    with Daemon(server.address) as daemon:
        way = pull if request.param.startswith("pull") else create
        yield Way(partial(_put, way, daemon), lambda package: way.plan(package, daemon), server.store)


def _put_in_store(models: Path, package: Package, progress=None) -> Receipt:
    return store.put(package, models, progress)


def _plan_in_store(models: Path, package: Package) -> Plan:
    return store.plan(package, models)


def _put(way: ModuleType, daemon: Daemon, package: Package, progress=None) -> Receipt:
    return way.put(package, daemon, progress)
