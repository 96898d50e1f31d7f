"""Both layouts of a store: what is read of each, and what is written."""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, kinds_of, upgrade

from ollama_pack.deliver import store
from ollama_pack.errors import DestinationError
from ollama_pack.ollama import store_layout
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import image_in_store, spelled_as_in
from ollama_pack.ollama.store_layout import blob_path, manifest_path


@pytest.fixture
def newer(models):
    """Return a store of Ollama 0.40 whose older entries are gone."""
    upgrade(models)
    shutil.rmtree(models / "manifests")
    return models


def test_where_entries_lie(tmp_path):
    """The public registry has another name there, and a colon is spelled out."""
    plain, other = parse_name("ada"), parse_name("localhost:5000/team/ada:v1")
    assert store_layout.newer_path(tmp_path, plain) == tmp_path / "manifests-v2/ollama.com/library/ada/latest"
    assert store_layout.newer_path(tmp_path, other) == tmp_path / "manifests-v2/localhost%3A5000/team/ada/v1"


def test_an_entry_is_a_link_to_a_blob(newer, package):
    """The entry leads to a blob whose name is the digest of its bytes, and nothing else is left."""
    receipt = store.write_to_store(package, newer)
    entry = store_layout.newer_path(newer, package.name)
    assert entry.is_symlink()
    assert not entry.readlink().is_absolute()
    assert entry.resolve() == blob_path(newer, f"sha256:{receipt.digest}").resolve()
    assert hashlib.sha256(entry.read_bytes()).hexdigest() == receipt.digest
    assert manifest_path(newer, package.name).read_bytes() == entry.read_bytes(), "for those who go back"
    assert not [path for path in newer.rglob("*") if path.name.startswith(".")]


def test_the_newer_entry_wins(models):
    """Where both layouts have a name, the newer one is the base; an older one alone is read, too."""
    upgrade(models)
    old = manifest_path(models, parse_name(BASE_TAG))
    document = json.loads(old.read_bytes())
    document["layers"] = document["layers"][:1]
    old.write_text(json.dumps(document))
    assert len(image_in_store(models, BASE_TAG).layers) == 4
    store_layout.newer_path(models, parse_name(BASE_TAG)).unlink()
    assert len(image_in_store(models, BASE_TAG).layers) == 1


def test_no_older_entry_shadows_ours(models, package):
    """A model of the name in the newer layout is replaced there."""
    store.write_to_store(package, models)
    upgrade(models)
    receipt = store.write_to_store(replace(package, system="Be brief."), models)
    found = store_layout.read_manifest(models, package.name)
    assert hashlib.sha256(found).hexdigest() == receipt.digest
    assert "system" in kinds_of(json.loads(found))


def test_a_store_without_the_newer_layout_gets_none(models, package):
    """The newer layout is written where it is, and not begun elsewhere."""
    store.write_to_store(package, models)
    assert not (models / "manifests-v2").exists()


def test_names_in_both_layouts(models):
    """Each name is told once, as people spell its host."""
    upgrade(models)
    entry = models / "manifests-v2" / "localhost%3A5000" / "team" / "ada" / "v1"
    entry.parent.mkdir(parents=True)
    entry.write_text("{}")
    assert sorted(store_layout.names_in(models)) == [
        ("localhost:5000", "team", "ada", "v1"),
        ("registry.ollama.ai", "library", BASE_TAG, "latest"),
    ]


@pytest.mark.parametrize("layout", ["older", "newer"])
def test_an_existing_spelling_is_found(models, package, layout):
    """A name that is there in another case is taken over, in whichever layout it is."""
    store.write_to_store(package, models)
    if layout == "newer":
        upgrade(models)
        shutil.rmtree(models / "manifests")
    shouted = parse_name(str(package.name).upper())
    assert spelled_as_in(store_layout.names_in(models), shouted).model == package.name.model


def refuse(*_):
    """Do as a file system does that has no such thing, or no room."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("hard", [True, False], ids=["hard links", "no links at all"])
def test_file_systems_without_links(newer, package, monkeypatch, hard):
    """Without symbolic links the entry is a hard link, and without these a copy."""
    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    if not hard:
        monkeypatch.setattr(os, "link", refuse)
    receipt = store.write_to_store(package, newer)
    entry = store_layout.newer_path(newer, package.name)
    assert not entry.is_symlink()
    assert hashlib.sha256(entry.read_bytes()).hexdigest() == receipt.digest


def test_a_failed_entry_keeps_the_old_model(newer, package, monkeypatch):
    """Where the entry cannot be written, the daemon goes on with the one it had, and its blobs stay."""
    store.write_to_store(package, newer)
    before = store_layout.read_manifest(newer, package.name)
    monkeypatch.setattr(store_layout, "_link", refuse)
    with pytest.raises(DestinationError, match="disk is full"):
        store.write_to_store(replace(package, system="Other."), newer)
    assert store_layout.read_manifest(newer, package.name) == before
    assert all(blob_path(newer, layer["digest"]).exists() for layer in json.loads(before)["layers"])
    assert not [path for path in newer.rglob("*") if path.name.startswith(".")]
