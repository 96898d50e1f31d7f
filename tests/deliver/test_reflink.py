"""The three ways to have a large file in two places."""

import errno
import os
from dataclasses import replace

import pytest
from scratch_store import blob, manifest_of
from tiny_model import base_noun

from ollama_pack.deliver import store
from ollama_pack.errors import DestinationError
from ollama_pack.ollama import blob_store, reflink


def impossible(source, target):
    return False


@pytest.fixture
def adopted(package, gguf_base, tmp_path, monkeypatch):
    """Return a function that puts a model on a copy of the base, by the ways that are allowed."""

    def adopt(*ways):
        base = tmp_path / "base.gguf"
        base.write_bytes(gguf_base.read_bytes())
        base.chmod(0o644)
        os.utime(base, (1_000_000, 1_000_000))
        for way in {"clone", "link"} - set(ways):
            monkeypatch.setattr(blob_store, way, impossible)
        models = tmp_path / "models"
        receipt = store.write_to_store(replace(package, base=base_noun(gguf_file=base)), models)
        digest = manifest_of(models, package.name.model)["layers"][0]["digest"]
        assert blob(models, digest) == base.read_bytes()
        return base, models / "blobs" / digest.replace(":", "-"), receipt

    return adopt


def test_a_link_shares_the_file_and_leaves_it_alone(adopted):
    """A hard link costs nothing, changes neither time stamp nor mode, and is told."""
    base, path, receipt = adopted("link")
    assert path.samefile(base)
    assert base.stat().st_mtime == 1_000_000
    assert receipt.bytes_written < base.stat().st_size
    assert any("never edit" in line for line in receipt.lines)


def test_a_file_others_may_not_read_is_not_linked(tmp_path):
    """A private file would be a blob the daemon cannot read."""
    private = tmp_path / "base.gguf"
    private.write_bytes(b"x")
    private.chmod(0o600)
    assert not reflink.link(private, tmp_path / "blob")
    assert not (tmp_path / "blob").exists()


def test_a_copy_is_a_file_of_its_own(adopted):
    """Where nothing else works the base is copied, fresh and readable by all."""
    base, path, receipt = adopted()
    assert not path.samefile(base)
    assert path.stat().st_mtime > 1_000_000
    assert path.stat().st_mode & 0o777 == 0o644
    assert receipt.bytes_written > base.stat().st_size


def test_a_clone_is_a_file_of_its_own_or_impossible(tmp_path):
    """Where the file system can, a clone has the bytes and a life of its own; else nothing is left."""
    source = tmp_path / "base.gguf"
    source.write_bytes(b"x" * 8192)
    cloned = reflink.clone(source, tmp_path / "blob")
    assert (tmp_path / "blob").exists() == cloned
    if cloned:
        source.write_bytes(b"y" * 8192)
        assert (tmp_path / "blob").read_bytes() == b"x" * 8192
    assert len(list(tmp_path.iterdir())) == 1 + cloned


def test_a_full_disk_is_not_mistaken_for_a_file_system_without_clones(tmp_path, monkeypatch):
    """ENOSPC while cloning is told, not answered with a copy that cannot succeed either."""
    fcntl = pytest.importorskip("fcntl")

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fcntl, "ioctl", full)
    source = tmp_path / "base.gguf"
    source.write_bytes(b"x")
    with pytest.raises(DestinationError, match="disk is full"):
        reflink.clone(source, tmp_path / "blob")


def test_a_base_that_changes_meanwhile_is_refused(package, gguf_base, tmp_path, monkeypatch):
    """A base written to while it is linked is not registered."""
    base = tmp_path / "base.gguf"
    base.write_bytes(gguf_base.read_bytes())

    def linked_and_edited(source, target):
        os.link(source, target)
        os.utime(source, (5, 5))
        return True

    monkeypatch.setattr(blob_store, "clone", impossible)
    monkeypatch.setattr(blob_store, "link", linked_and_edited)
    with pytest.raises(DestinationError, match="changed while"):
        store.write_to_store(replace(package, base=base_noun(gguf_file=base)), tmp_path / "models")
    assert not [p for p in (tmp_path / "models").rglob("*") if p.is_file()]
