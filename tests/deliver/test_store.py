"""The store: what it refuses, and what is left when something goes wrong."""

import errno
import json
import os
import time
from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, blob, kinds_of, manifest_of, snapshot, upgrade
from tiny_model import base_noun

from ollama_pack.deliver import store
from ollama_pack.errors import DestinationError
from ollama_pack.ollama import blob_store
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import spelled_as_in
from ollama_pack.ollama.store_layout import manifest_path


def test_a_missing_base_says_how_to_get_it(package, models):
    """The error names the command that brings the base."""
    with pytest.raises(DestinationError) as caught:
        store.write_to_store(replace(package, base=base_noun(tag="vicuna:7b")), models)
    assert caught.value.hint == "ollama pull vicuna:7b"


def test_a_base_with_a_missing_blob_is_refused(package, models):
    """A base that was pulled by halves is not built upon."""
    digest = manifest_of(models, BASE_TAG)["layers"][0]["digest"]
    (models / "blobs" / digest.replace(":", "-")).unlink()
    with pytest.raises(DestinationError, match="incomplete"):
        store.write_to_store(package, models)


@pytest.mark.parametrize("kind", ["params", "config"])
def test_a_damaged_base_is_refused(package, models, kind):
    """Parameters and a configuration that are no JSON object are an error with the blob's path."""
    manifest = manifest_of(models, BASE_TAG)
    entries = {entry["mediaType"].rpartition(".")[2]: entry for entry in manifest["layers"]}
    digest = (manifest["config"] if kind == "config" else entries["params"])["digest"]
    path = models / "blobs" / digest.replace(":", "-")
    path.write_bytes(b"[" + b" " * (path.stat().st_size - 2) + b"]")
    with pytest.raises(DestinationError) as caught:
        store.write_to_store(package, models)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_store_that_cannot_be_written_stays_as_it_was(package, models, monkeypatch, code, nth):
    """Whichever write fails, no file is left behind and the error names a path."""
    before, calls, fsync = snapshot(models), [], os.fsync

    def failing(number):
        calls.append(number)
        if len(calls) == nth:
            raise OSError(code, os.strerror(code))
        fsync(number)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(DestinationError) as caught:
        store.write_to_store(replace(package, system="Be brief."), models)
    assert snapshot(models) == before
    assert str(models) in caught.value.where


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_an_interrupted_put_leaves_nothing(package, models, monkeypatch, nth):
    """Control-C at any write leaves the store as it was."""
    before, calls = snapshot(models), []

    def interrupted(number):
        calls.append(number)
        if len(calls) == nth:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write_to_store(replace(package, system="Be brief."), models)
    assert snapshot(models) == before


def test_a_failed_replacement_keeps_the_old_model(package, models, monkeypatch):
    """When the new manifest cannot be written, the old one still stands, with its blobs."""
    store.write_to_store(package, models)
    before = snapshot(models)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DestinationError, match="disk is full"):
        store.write_to_store(replace(package, system="Other."), models)
    assert snapshot(models) == before


def test_a_blob_somebody_else_came_to_need_is_kept(package, models, monkeypatch):
    """What a manifest names by now is not taken back when our own manifest fails."""
    publish = blob_store.StoreTransaction.write_manifest

    def other_first(self, name, manifest, layers):
        publish(self, parse_name("other"), manifest, layers)
        raise DestinationError("no")

    monkeypatch.setattr(blob_store.StoreTransaction, "write_manifest", other_first)
    with pytest.raises(DestinationError, match="no"):
        store.write_to_store(package, models)
    for layer in manifest_of(models, "other")["layers"]:
        assert len(blob(models, layer["digest"])) == layer["size"]


def test_an_adapter_that_changed_is_refused(package, models, tmp_path):
    """A file whose bytes are not those of its digest does not become a blob."""
    path = tmp_path / "lora.gguf"
    path.write_bytes(package.adapter.path.read_bytes()[:-1] + b"x")
    before = snapshot(models)
    with pytest.raises(DestinationError, match="The file has changed"):
        store.write_to_store(replace(package, adapter=package.adapter._replace(path=path)), models)
    assert snapshot(models) == before


def test_blobs_are_fresh_and_readable(package, models):
    """Base blobs get a new time stamp, new ones may be read by everyone, nothing temporary is left."""
    digest = manifest_of(models, BASE_TAG)["layers"][0]["digest"]
    old = models / "blobs" / digest.replace(":", "-")
    os.utime(old, (1, 1))
    store.write_to_store(package, models)
    assert time.time() - old.stat().st_mtime < 60
    adapter = models / "blobs" / package.adapter.digest.replace(":", "-")
    assert adapter.stat().st_mode & 0o777 == 0o644
    assert manifest_path(models, package.name).stat().st_mode & 0o777 == 0o644
    assert not [p for p in models.rglob("*") if p.name.startswith(".")]


def test_the_time_of_a_linked_file_stays(package, models, tmp_path):
    """A blob that is a hard link to a file of the user keeps its time, which is the file's too."""
    digest = manifest_of(models, BASE_TAG)["layers"][0]["digest"]
    mine = tmp_path / "mine.gguf"
    os.link(models / "blobs" / digest.replace(":", "-"), mine)
    os.utime(mine, (1, 1))
    store.write_to_store(package, models)
    assert mine.stat().st_mtime == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_new_store_follows_the_umask(package, gguf_base, tmp_path):
    """Nothing in a store that is made here is open to more users than the umask allows."""
    models, old = tmp_path / "new" / "models", os.umask(0o077)
    try:
        store.write_to_store(replace(package, base=base_noun(gguf_file=gguf_base)), models)
    finally:
        os.umask(old)
    made = [path for path in models.rglob("*") if not path.samefile(gguf_base)]
    linked = [path for path in made if path.stat().st_nlink > 1 and path.is_file()]
    assert {path for path in made if path.stat().st_mode & 0o077} <= set(linked)


def test_a_look_alike_does_not_shadow():
    """The sign for kelvin is no k, though Python's lower case of it is."""
    existing = [("registry.ollama.ai", "library", "\u212aiwi", "x")]
    assert str(spelled_as_in(existing, parse_name("kiwi:x"))) == "kiwi:x"


def test_a_truncated_blob_is_mended(package, models):
    """A blob of the wrong size is written again."""
    path = models / "blobs" / package.adapter.digest.replace(":", "-")
    path.write_bytes(b"short")
    store.write_to_store(package, models)
    assert path.stat().st_size == package.adapter.size


def test_one_part_of_a_name_is_spelled_one_way():
    """Each part takes the spelling of any model there; an exact one is left alone."""
    existing = [("registry.ollama.ai", "Love", "ADA", "x"), ("registry.ollama.ai", "library", "ada", "y")]
    assert str(spelled_as_in(existing, parse_name("love/Ada:Y"))) == "Love/ADA:y"
    assert str(spelled_as_in(existing, parse_name("ada:x"))) == "ada:x"


def test_a_gguf_base_needs_no_store(package, gguf_base, tmp_path):
    """A base file makes a store where there was none."""
    models = tmp_path / "new" / "models"
    receipt = store.write_to_store(replace(package, base=base_noun(gguf_file=gguf_base)), models)
    manifest = manifest_of(models, package.name.model)
    assert kinds_of(manifest) == ["model", "adapter"]
    assert blob(models, manifest["layers"][0]["digest"]) == gguf_base.read_bytes()
    assert json.loads(blob(models, manifest["config"]["digest"]))["model_type"] == "36K"
    assert receipt.bytes_written > 0
    assert (models / "blobs").stat().st_mode & 0o777 == 0o755


def test_planning_a_gguf_base_counts_it_without_reading(package, gguf_base, tmp_path):
    """The plan tells the size of the base, and makes no store."""
    planned = store.plan_store(replace(package, base=base_noun(gguf_file=gguf_base)), tmp_path / "models")
    sizes = dict(planned.items)
    assert sizes["base tiny.gguf, cloned or linked where possible"] == gguf_base.stat().st_size
    assert planned.total > gguf_base.stat().st_size + package.adapter.size
    assert not (tmp_path / "models").exists()


def test_drafts_of_a_killed_run_are_tidied(models, package):
    """What a run that was killed left of a manifest goes with the next one; what is being written stays."""
    upgrade(models)
    stale = [models / folder / ".ollama-pack-stale" for folder in ("manifests", "manifests-v2")]
    for draft in (*stale, fresh := models / "manifests" / ".ollama-pack-fresh"):
        draft.touch()
    for draft in stale:
        os.utime(draft, (1, 1))
    store.write_to_store(package, models)
    assert not any(draft.exists() for draft in stale)
    assert fresh.exists()
