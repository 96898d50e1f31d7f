"""Fixtures for every destination: a tiny base, an adapter, and the ways in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import fake_daemon
import pytest
import real_daemon
from characters import CHARACTERS
from scratch_store import BASE_TAG, add_base, upgrade
from tiny_model import base_noun, make_adapter, make_base

from ollama_pack.destinations import choose
from ollama_pack.destinations.package import Package, Plan
from ollama_pack.destinations.places import Places
from ollama_pack.names import parse_name
from ollama_pack.parts import LoraFile, Progress, Receipt

NOBODY = "http://127.0.0.1:9"
_NUMBERS = count()


@dataclass(frozen=True)
class Way:
    """A destination under test: how to put, how to plan, and the store it ends in."""

    put: Callable[..., Receipt]
    plan: Callable[..., Plan]
    store: Path


WAYS = [
    ("store", "older layout"),
    ("store", "newer layout"),
    ("store", "real daemon"),
    *(("create", f"fake {name}") for name, character in CHARACTERS.items() if character.creates),
    ("create", "real daemon"),
    *(("pull", f"fake {name}") for name in CHARACTERS),
    ("pull", "real daemon"),
    *(("auto", f"fake {name}") for name in CHARACTERS),
    ("auto", "real daemon"),
]
"""Every way in, and whom it leads to: the stand-in in all its characters, a bare store, a real daemon."""


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


def live(whom: str, *others: str) -> Any:
    """Return the parameters of a test, marked where a real daemon is needed."""
    marks = [pytest.mark.live] if whom == "real daemon" else []
    return pytest.param((*others, whom), marks=marks, id=", ".join((*others, whom)))


@pytest.fixture(params=[live(whom, via) for via, whom in WAYS])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    via, whom = request.param
    if whom.endswith("layout"):
        models = request.getfixturevalue("models")
        if whom == "newer layout":
            upgrade(models)
        yield _way(via, Places(NOBODY, (models,), named=True), models)
    elif whom == "real daemon":
        server = request.getfixturevalue("real")
        yield _way(via, Places(server.address, (server.store,)), server.store)
    else:
        models = request.getfixturevalue("models")
        with fake_daemon.running(models, whom.removeprefix("fake ")) as server:
            yield _way(via, Places(server.address, ()), models)


def _way(via: str, places: Places, store: Path) -> Way:
    def put(package: Package, progress: Progress | None = None) -> Receipt:
        return choose.put(package, places, via=via, progress=progress)

    return Way(put, partial(choose.plan, places=places, via=via), store)
