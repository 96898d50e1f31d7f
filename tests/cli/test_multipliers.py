"""Falcon-H1, whose weights are multiplied with numbers that only its config.json has."""

import shutil
from pathlib import Path

import pytest
from archive import unpacked
from terminal import run

RECORD = unpacked("archs-reference", "falcon-h1")
BASE = RECORD / "base.gguf"


@pytest.fixture
def adapter(tmp_path) -> Path:
    """Return the recorded adapter in a directory of its own; its base is ollama-pack/tiny-falcon-h1."""
    folder = tmp_path / "falcon-lora"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(RECORD / name, folder / name)
    return folder


def convert(adapter: Path, base: Path, target: Path):
    return run("convert", str(adapter), "--base", str(base), "--out", str(target))


def test_without_config(adapter, tmp_path):
    """A GGUF file alone is not enough: it is refused by name, with the ways to what is missing."""
    ran = convert(adapter, BASE, tmp_path / "lora.gguf")
    assert ran.code == 4
    assert "Falcon-H1 without its config.json" in ran.stderr
    assert "--online" in ran.stderr
    assert not (tmp_path / "lora.gguf").exists()


def test_from_the_cache(adapter, tmp_path, monkeypatch):
    """With config.json of the adapter's base in Hugging Face's cache it is as with the file itself."""
    snapshot = tmp_path / "hub" / "models--ollama-pack--tiny-falcon-h1" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(RECORD / "config.json", snapshot / "config.json")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert convert(adapter, BASE, tmp_path / "cached.gguf").code == 0
    assert convert(adapter, snapshot, tmp_path / "named.gguf").code == 0
    assert (tmp_path / "cached.gguf").read_bytes() == (tmp_path / "named.gguf").read_bytes()


@pytest.mark.parametrize("value", ["null", '"1.0"', "[1.0, 2.0]", "true", "{}"])
def test_damaged_config(adapter, tmp_path, value):
    """A multiplier that is no number is told with its key."""
    config = tmp_path / "config" / "config.json"
    config.parent.mkdir()
    text = (RECORD / "config.json").read_text("utf-8")
    config.write_text(text.replace('"key_multiplier": 0.8', f'"key_multiplier": {value}'), "utf-8")
    ran = convert(adapter, config.parent, tmp_path / "lora.gguf")
    assert ran.code == 3
    assert "key_multiplier" in ran.stderr
