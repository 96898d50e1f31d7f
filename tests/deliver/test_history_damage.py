"""Versions whose blobs are lost or damaged: none of them gets the name back."""

import pytest
from homes import speaks
from scratch_store import upgrade
from ways import NOBODY

from ollama_pack.deliver import choose, history, store
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.blob_store import StoreTransaction
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import find_model
from ollama_pack.ollama.store_layout import blob_path


def at_home(models, *, newer: bool) -> OllamaLocations:
    """Return a bare store in one of the layouts."""
    if newer:
        upgrade(models)
    return OllamaLocations(NOBODY, (models,), named=True)


def fail(*_args) -> None:
    """Go wrong when all blobs are there."""
    raise DestinationError("There is no more room.")


def test_no_way_back_to_what_would_not_run(home, package):
    """A version whose adapter is gone does not get the name; the model stays what it is."""
    first = home.put(package)
    second = home.put(speaks(package, "Be new."))
    lost = blob_path(home.store, package.adapter.digest)
    kept = lost.read_bytes()
    lost.unlink()
    try:
        with home.models(package.name) as models, pytest.raises(DestinationError, match="is missing"):
            history.rollback(models, package.name)
    finally:
        lost.write_bytes(kept)
    assert home.current(package.name) == second.digest
    assert home.versions(package.name) == [first.digest]


def test_no_way_back_to_what_is_damaged(home, package):
    """An adapter of the right size and other bytes is seen where it lies on this machine."""
    home.put(package)
    second = home.put(speaks(package, "Be new."))
    file = blob_path(home.store, package.adapter.digest)
    kept = file.read_bytes()
    file.write_bytes(bytes(len(kept)))
    try:
        with home.models(package.name) as models, pytest.raises(DestinationError, match="is damaged"):
            history.rollback(models, package.name)
    finally:
        file.write_bytes(kept)
    assert home.current(package.name) == second.digest


@pytest.mark.parametrize("newer", [False, True])
def test_a_damaged_blob_is_mended(newer, models, package, monkeypatch):
    """A build into a store writes anew what is damaged, and keeps it when something fails afterwards."""
    places = at_home(models, newer=newer)
    choose.deliver(package, places)
    file = blob_path(models, package.adapter.digest)
    kept = file.read_bytes()
    file.write_bytes(bytes(len(kept)))
    choose.deliver(package, places)
    assert file.read_bytes() == kept
    file.write_bytes(bytes(len(kept)))
    with monkeypatch.context() as patch:
        patch.setattr(StoreTransaction, "write_manifest", fail)
        with pytest.raises(DestinationError, match="no more"):
            store.write_to_store(package, models)
    assert file.read_bytes() == kept


@pytest.mark.parametrize("newer", [False, True])
def test_no_way_back_to_what_is_cut_off(newer, models, package):
    """In a store the size of each blob is seen too."""
    places = at_home(models, newer=newer)
    choose.deliver(package, places)
    second = choose.deliver(speaks(package, "Be new."), places)
    file = blob_path(models, package.adapter.digest)
    file.write_bytes(file.read_bytes()[:-1])
    with models_at(places, package.name) as there:
        with pytest.raises(DestinationError, match=r"has \d+ of \d+ bytes"):
            history.rollback(there, package.name)
        assert find_model(there, package.name).digest == second.digest
