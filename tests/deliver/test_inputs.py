"""What neither a name nor a GGUF file tells of a base comes from an installed model or its config.json."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from archive import unpacked
from scratch_store import add_base

from ollama_pack.arch.hparams import StateSpace
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.lora.peft.directory import AdapterDirectory
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.inputs import BuildInputs, _fill_missing_hparams
from ollama_pack.pipeline.request import Request

RECORD = unpacked("archs-reference", "qwen35")
ID = "ollama-pack/tiny-qwen35"


@pytest.fixture
def named():
    """Return the base as a catalog would tell it: by its name, with neither tensors nor states."""
    base = read_base_gguf(RECORD / "base.gguf")
    return replace(
        base,
        hparams=replace(base.hparams, ssm=StateSpace()),
        tag="tiny-qwen35:latest",
        tensors=None,
        gguf=None,
        source_id=ID,
    )


@pytest.fixture(autouse=True)
def _no_daemon(monkeypatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")


def inputs_with(store: Path) -> BuildInputs:
    """Return the inputs of a build into a store; nothing else of them matters here."""
    directory = AdapterDirectory(store, store, None, store)
    return BuildInputs(
        request=Request(directory=store),
        directories=(directory,),
        name=parse_name("ada"),
        output_dir=store,
        locations=locations_from(os.environ, store, store),
        environment=os.environ,
    )


def test_from_an_installed_model(named, tmp_path):
    """The header of the model in the store tells all."""
    add_base(tmp_path / "models", RECORD / "base.gguf", tag="tiny-qwen35")
    found = _fill_missing_hparams(named, ID, inputs_with(tmp_path / "models"))
    assert (found.hparams.ssm.heads, found.hparams.ssm.groups, found.tag) == (6, 2, "tiny-qwen35:latest")
    assert found.tensors


def test_from_the_cache(named, tmp_path, monkeypatch):
    """Without it config.json in Hugging Face's cache does."""
    snapshot = tmp_path / "hub" / "models--ollama-pack--tiny-qwen35" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(RECORD / "config.json", snapshot / "config.json")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    found = _fill_missing_hparams(named, ID, inputs_with(tmp_path / "none"))
    assert found.hparams.ssm == read_base_gguf(RECORD / "base.gguf").hparams.ssm
    assert (found.tag, found.tensors) == (named.tag, None)


def test_from_nowhere(named, tmp_path):
    """With neither it stays as it is; what needs the sizes is refused later, by name."""
    assert _fill_missing_hparams(named, ID, inputs_with(tmp_path / "none")) == named
