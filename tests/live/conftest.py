"""Fixtures for tests against a real Ollama daemon with its llama-server."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import real_daemon
from daemon_answers import ask, say
from scratch_store import BASE_TAG, add_base
from tiny_model import adapter_for, base_noun, make_base

from ollama_pack.deliver import create
from ollama_pack.deliver.package import Package, Receipt
from ollama_pack.errors import DestinationError
from ollama_pack.lora.plan import LoraFile
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import parse_name

_NUMBERS = count()


@dataclass(frozen=True)
class Live:
    """A real daemon that has the base, and what its own API says."""

    daemon: Daemon
    address: str
    store: Path
    log: Path

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """Return the answer to one request, which must succeed."""
        try:
            return ask(self.address, path, **body)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}") from error

    def create(self, package: Package) -> Receipt:
        """Have the daemon make a package from a GGUF file."""
        try:
            return create.create_model(package, self.daemon)
        except DestinationError as error:
            if "llama-quantize unavailable" in error.what:
                pytest.skip("NOT TESTED by creating from a file: this Ollama has no llama-quantize")
            raise

    def say(self, model: str) -> str:
        """Return what a model answers, always the same: no randomness."""
        return say(self.address, model)


@pytest.fixture(scope="session")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the base: the one OLLAMA_PACK_TEST_BASE names, else a tiny one made here."""
    named = os.environ.get("OLLAMA_PACK_TEST_BASE")
    return Path(named) if named else make_base(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture(scope="session")
def adapter(base_file: Path, tmp_path_factory: pytest.TempPathFactory) -> LoraFile:
    return adapter_for(base_file, tmp_path_factory.mktemp("adapter") / "lora.gguf")


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, base_file: Path) -> Iterator[Live]:
    with real_daemon.running(tmp_path_factory.mktemp("ollama")) as real, Daemon(real.address) as daemon:
        add_base(real.store, base_file)
        yield Live(daemon, real.address, real.store, real.log)


@pytest.fixture
def package(adapter: LoraFile) -> Package:
    return Package(name=parse_name(f"live-{next(_NUMBERS)}"), adapter=adapter, base=base_noun(tag=BASE_TAG))
