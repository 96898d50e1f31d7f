"""A folder that has everything for later."""

import errno
import hashlib
import json
import os
from dataclasses import replace

import pytest
from scratch_store import snapshot
from tiny_model import base_noun

from ollama_pack.deliver import folder, store
from ollama_pack.errors import DestinationError


@pytest.fixture
def described(package):
    return replace(package, modelfile_text="FROM tiny-base\nADAPTER ./lora.gguf\n")


def test_the_folder_holds_everything(described, models, tmp_path):
    """Adapter, Modelfile, configuration and manifest are there, and the manifest is the store's."""
    receipt = folder.write_folder(described, tmp_path / "out", store=models)
    written = snapshot(tmp_path / "out")
    assert sorted(written) == ["Modelfile.txt", "lora.gguf", "ollama-config.json", "ollama-manifest.json"]
    assert written["Modelfile.txt"].decode() == described.modelfile_text
    assert written["lora.gguf"] == described.adapter.path.read_bytes()
    assert receipt.digest == hashlib.sha256(written["ollama-manifest.json"]).hexdigest()
    assert receipt.digest == store.write_to_store(described, models).digest
    assert receipt.bytes_written == sum(map(len, written.values()))


def test_without_a_store_there_is_no_manifest(described, tmp_path):
    """A base nobody can look up is told, and the rest is written."""
    receipt = folder.write_folder(described, tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == ["Modelfile.txt", "lora.gguf"]
    assert receipt.digest == ""
    assert receipt.lines[-1].startswith("ollama-manifest.json was not written: ")


def test_a_manifest_of_an_older_build_goes(described, models, tmp_path):
    """Where this build has no manifest, the one that lies there would describe another base."""
    folder.write_folder(described, tmp_path / "out", store=models)
    folder.write_folder(replace(described, base=base_noun(tag="another")), tmp_path / "out", store=models)
    assert sorted(snapshot(tmp_path / "out")) == ["Modelfile.txt", "lora.gguf"]


def test_a_gguf_base_needs_no_store(described, gguf_base, tmp_path):
    """The layers of a GGUF base are known from the file."""
    folder.write_folder(replace(described, base=base_noun(gguf_file=gguf_base)), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "ollama-manifest.json").read_bytes())
    assert manifest["layers"][0]["size"] == gguf_base.stat().st_size


def test_twice_is_once(described, models, tmp_path):
    """The second time nothing is written but the adapter."""
    folder.write_folder(described, tmp_path / "out", store=models)
    first = snapshot(tmp_path / "out")
    receipt = folder.write_folder(described, tmp_path / "out", store=models)
    assert snapshot(tmp_path / "out") == first
    assert receipt.bytes_written <= described.adapter.size


def test_an_adapter_that_lies_there_stays(described, tmp_path):
    """The folder may be the one the adapter was written to."""
    receipt = folder.write_folder(described, described.adapter.path.parent)
    assert described.adapter.path.stat().st_size == described.adapter.size
    assert receipt.bytes_written == len(described.modelfile_text)


def test_a_plan_counts_what_put_writes(described, models, tmp_path):
    """Planned and written bytes agree, and planning writes nothing."""
    planned = folder.plan_folder(described, tmp_path / "out", store=models)
    assert not (tmp_path / "out").exists()
    assert planned.total == folder.write_folder(described, tmp_path / "out", store=models).bytes_written
    assert folder.plan_folder(described, tmp_path / "out", store=models).replaces


def test_a_full_disk_leaves_no_half_file(described, tmp_path, monkeypatch):
    """What cannot be written whole is not there."""

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DestinationError, match="disk is full"):
        folder.write_folder(described, tmp_path / "out")
    assert snapshot(tmp_path / "out") == {}
