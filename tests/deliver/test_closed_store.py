"""A store that belongs to somebody else: nothing of it is guessed, and the command that works is told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
from tiny_model import base_noun
from ways import NOBODY

from ollama_pack.deliver import choose, history
from ollama_pack.doctor.examine import examine
from ollama_pack.doctor.findings import PROBLEM
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.store_layout import is_closed

OTHER = 65534

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="NOT TESTED: this system has no users")


@contextmanager
def as_other() -> Iterator[None]:
    """Be somebody whom permissions bind, where the tests are run by root."""
    if os.geteuid():
        yield
        return
    os.setresuid(OTHER, OTHER, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def store(models: Path, package, gguf_base, tmp_path_factory) -> Iterator[Path]:
    """Return a store with a model, after everything here was imported by one who may."""
    places = OllamaLocations(NOBODY, (models,), named=True)
    choose.deliver(package, places)
    choose.deliver(replace(package, system="Be new."), places)
    examine(places)
    top = tmp_path_factory.getbasetemp().parent.parent
    for here in (models, gguf_base):
        for parent in takewhile(lambda path: path != top, here.parents):
            parent.chmod(0o755)
    yield models
    models.chmod(0o755)


def test_closed(store, package):
    """Looking into it, writing into it and building on what is in it say whose it is."""
    store.chmod(0o700 if not os.geteuid() else 0)
    places = OllamaLocations(NOBODY, (store,), named=True)
    with as_other():
        assert is_closed(store)
        with pytest.raises(DestinationError, match="no permission to read this store") as caught:
            choose.deliver(package, places)
        with pytest.raises(DestinationError, match="no permission to read"), models_at(places, package.name):
            pass
        findings = examine(places).findings
    assert "sudo -u" in caught.value.hint
    assert caught.value.where == str(store)
    told = [finding for finding in findings if finding.about == str(store)]
    assert [(finding.level, finding.what) for finding in told] == [(PROBLEM, "you may not read this store")]
    assert "sudo -u" in told[0].fix


def test_another_one_is_open(store, package, tmp_path, gguf_base):
    """Where nobody named it, a closed store does not keep a file's model from going into an open one."""
    store.chmod(0o700 if not os.geteuid() else 0)
    mine = tmp_path / "mine"
    mine.mkdir()
    mine.chmod(0o777)
    package = replace(package, base=base_noun(gguf_file=gguf_base))
    with as_other():
        assert choose.plan_delivery(
            package, OllamaLocations(NOBODY, (store, mine)), via="store"
        ).where == str(mine)


def test_read_only(store, package):
    """What may be read and not written is looked at, and left as it is."""
    if os.geteuid():
        for folder in (store, *filter(Path.is_dir, store.rglob("*"))):
            folder.chmod(0o555)
    places = OllamaLocations(NOBODY, (store,), named=True)
    try:
        with as_other(), models_at(places, package.name) as models:
            assert len(history.versions(models, package.name)) == 1
            for deed in (history.rollback, history.remove_model):
                with pytest.raises(DestinationError, match="no permission to write to this store") as caught:
                    deed(models, package.name)
                assert "sudo -u" in caught.value.hint
            assert len(history.versions(models, package.name)) == 1
    finally:
        if os.geteuid():
            for folder in (store, *filter(Path.is_dir, store.rglob("*"))):
                folder.chmod(0o755)


def test_read_only_and_a_file(store, package, gguf_base):
    """A build on a file into a store that may not be written tells the whole command that may."""
    package = replace(package, base=base_noun(gguf_file=gguf_base))
    if os.geteuid():
        store.chmod(0o555)
    with as_other(), pytest.raises(DestinationError, match="may not write into this store") as caught:
        choose.deliver(package, OllamaLocations(NOBODY, (store,), named=True))
    assert "ollama-pack register" in caught.value.hint
    assert f"--store {store}" in caught.value.hint
