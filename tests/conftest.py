"""Fixtures for every test. Nothing here touches a network; adapters are made from sizes and a seed."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from recipes import TINY, tensors_of, write_adapter, write_model
from tool_variables import misspelled

from ollama_pack.base.model import BaseModel

# A busy machine is no broken law; and CI judges a change, it does not explore.
os.environ.pop("COLUMNS", None)  # a narrow caller, such as pytest-xdist, would fold what tests read
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")

GOLDENS = Path(__file__).parent / "goldens"


def pytest_addoption(parser):
    parser.addoption("--update-goldens", action="store_true", help="write tests/goldens anew; read the diff")


def pytest_configure():
    """Refuse a variable that no test reads: a misspelled one would skip what it should run."""
    if told := misspelled(os.environ):
        raise pytest.UsageError(told)


@pytest.fixture(autouse=True)
def _no_models_of_hugging_face(tmp_path, monkeypatch) -> None:
    """Keep tests away from what the user of this machine has downloaded."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-hub"))


@pytest.fixture(autouse=True)
def _no_digests_of_this_user(tmp_path, monkeypatch) -> None:
    """Let each test begin without remembered digests, and leave none in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.with_name(f"{tmp_path.name}-cache")))


@pytest.fixture
def recorded_peft(monkeypatch) -> None:
    """Let recorded answers stand for PEFT's; adapters that were not recorded get none."""
    command = [sys.executable, str(Path(__file__).with_name("peft_stand_in.py"))]
    monkeypatch.setattr("ollama_pack.lora.peft.merge_process.worker_command", lambda: command)


@pytest.fixture
def no_daemon(monkeypatch) -> None:
    """Leave no daemon named, and none at the address that Ollama has by default."""
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setattr("ollama_pack.ollama.address.DEFAULT_PORT", 9)


@pytest.fixture
def stand_in_llama(monkeypatch) -> None:
    """Let a stand-in take the place of llama.cpp: `tests/engine/stand_in` says how it answers."""
    stand_in = Path(__file__).parent / "engine" / "stand_in"
    monkeypatch.setenv("PYTHONPATH", str(stand_in))


@pytest.fixture
def make_adapter(tmp_path) -> Callable[..., Path]:
    """Return a function that writes an adapter directory from the fields of `adapters.Recipe`."""

    def make(name: str = "ada-lora", **fields: Any) -> Path:
        return write_adapter(tmp_path / name, **fields)

    return make


@pytest.fixture
def tiny_base() -> BaseModel:
    """Return a base known by its configuration only: no tensors."""
    return TINY


@pytest.fixture(scope="session")
def tiny_shapes() -> dict[str, tuple[int, ...]]:
    """Return every weight of the tiny base, which is tied, by its GGUF name."""
    return tensors_of(TINY)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory) -> Path:
    """Return a whole model file of the tiny base, written by gguf-py."""
    return write_model(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture
def golden(request) -> Callable[[str, str], None]:
    """Return a function that compares a text with a golden, or writes it under --update-goldens."""

    def check(name: str, text: str) -> None:
        path = GOLDENS / name
        if request.config.getoption("--update-goldens"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        assert path.exists(), f"no golden {name}; run pytest --update-goldens and read the diff"
        assert text == path.read_text("utf-8")

    return check
