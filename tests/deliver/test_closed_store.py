"""A store that belongs to somebody else: nothing of it is guessed, and the command that works is told."""

import os
from collections.abc import Callable, Iterator
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


def told_to_other(deed: Callable[[], object]) -> str:
    """Return the error that somebody else gets, in another process: the daemon here keeps its permissions."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = "nothing"
        try:
            with as_other():
                deed()
        except DestinationError as error:
            said = str(error)
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as said_by_child:
        return said_by_child.read()


@pytest.fixture
def closed(store) -> Path:
    """Return the store, which only its owner may look into; the fake daemon may too."""
    if not os.geteuid():
        store.chmod(0o700)
    else:
        pytest.skip("NOT TESTED: only root can be two users at once")
    return store


@pytest.mark.parametrize("named", [False, True], ids=["default store", "--store"])
def test_a_daemon_can(closed, package, fake, named):
    """A daemon that runs and has the base registers the model by the delivery that the hint names."""
    places = OllamaLocations(fake.address, (closed,), named=named)
    choose.plan_delivery(package, places, via="pull")  # everything is imported by one who may

    def look() -> None:
        with models_at(places._replace(named=True), package.name):
            pass

    told = told_to_other(lambda: choose.deliver(package, places, via="store"))
    assert "You have no permission to read this store." in told
    without = ", without --store," if named else ""
    assert f"try: --via pull{without}  lets Ollama at {fake.address} register the model; or" in told
    assert f"without --store, which asks Ollama at {fake.address}" in told_to_other(look)
    receipt = choose.deliver(package, places._replace(named=False), via="pull")
    assert (receipt.via, receipt.where) == ("pull", fake.address)
    with models_at(places._replace(named=False), package.name) as models:
        assert models.place == fake.address


def test_a_daemon_without_the_base(closed, package, fake):
    """A daemon that does not have it is not named: it might pull gigabytes."""
    places = OllamaLocations(fake.address, (closed,))
    choose.plan_delivery(package, places, via="pull")
    fake.models.erase(package.base.tag)
    told = told_to_other(lambda: choose.deliver(package, places, via="store"))
    assert "You have no permission to read this store." in told
    assert "--via" not in told
