"""Fixtures for the fault campaign: a store with models that must outlive whatever happens."""

import shutil
from pathlib import Path

import pytest
from scratch_store import BASE_TAG, add_base, upgrade
from tiny_model import base_noun, make_adapter, make_base

from ollama_pack.deliver import store
from ollama_pack.deliver.package import Package
from ollama_pack.lora.plan import LoraFile
from ollama_pack.ollama.names import parse_name


@pytest.fixture(scope="session")
def gguf_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> LoraFile:
    return make_adapter(tmp_path_factory.mktemp("adapter") / "lora.gguf")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> LoraFile:
    return make_adapter(tmp_path_factory.mktemp("other") / "other.gguf", seed=7)


@pytest.fixture
def package(adapter: LoraFile) -> Package:
    """Return what is put while things go wrong."""
    name = parse_name("ada")
    return Package(name=name, adapter=adapter, base=base_noun(tag=BASE_TAG), system="New.")


@pytest.fixture
def earlier(other: LoraFile) -> Package:
    """Return what has the name already."""
    return Package(name=parse_name("ada"), adapter=other, base=base_noun(tag=BASE_TAG), system="Old.")


@pytest.fixture
def new_store(tmp_path: Path, gguf_base: Path, earlier: Package):
    """Return a function that makes a store with a base and a bystander, in either layout.

    The name of the package may be taken there already.
    """
    made = iter(range(10_000))
    patterns: dict[tuple[bool, bool], Path] = {}

    def make(*, newer: bool = False, taken: bool = True) -> Path:
        if (newer, taken) not in patterns:
            models = patterns[newer, taken] = tmp_path / f"pattern-{newer}-{taken}"
            add_base(models, gguf_base)
            store.write_to_store(
                Package(name=parse_name("bystander"), adapter=earlier.adapter, base=earlier.base), models
            )
            if taken:
                store.write_to_store(earlier, models)
            if newer:
                upgrade(models)
        target = tmp_path / f"models-{next(made)}"
        shutil.copytree(patterns[newer, taken], target, symlinks=True)
        return target

    return make
