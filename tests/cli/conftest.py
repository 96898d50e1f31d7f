"""Fixtures for the command line: no daemon, no store, no home but those of the test."""

from pathlib import Path

import pytest
from oci_registry import stand_in_registry
from played_hub import TOKEN, playing
from real_registry import distribution, pushable  # noqa: F401 — fixtures
from recipes import write_adapter
from terminal import add_base, run
from three_models import project  # noqa: F401 — a fixture

from ollama_pack.base.lookup import read_base_by_name


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch, no_daemon) -> Path:
    """Keep every command away from the user's Ollama and the user's files, and return its home."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HOME", str(home))
    for name in ("NO_COLOR", "CI", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def models(tmp_path) -> Path:
    """Return the store OLLAMA_MODELS names; it is not there yet."""
    return tmp_path / "models"


@pytest.fixture
def ada(make_adapter) -> Path:
    """Return an adapter of the tiny base in ``ada-lora/``, beside the store."""
    return make_adapter()


@pytest.fixture
def smol(tmp_path) -> Path:
    """Return an adapter of SmolLM2 135M, a base the catalog knows and nobody has here."""
    return write_adapter(
        tmp_path / "smol-lora",
        base=read_base_by_name("smollm2:135m"),
        modules=("q_proj",),
        layers=(0,),
        config={"base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct"},
    )


@pytest.fixture
def smol_gguf(tmp_path) -> Path:
    """Return as much of SmolLM2 135M as the adapter `smol` is on."""
    import numpy as np
    from gguf import GGUFWriter

    base = read_base_by_name("smollm2:135m")
    writer = GGUFWriter(tmp_path / "smol.gguf", base.hparams.arch)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((base.hparams.hidden, base.hparams.hidden), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "smol.gguf"


@pytest.fixture
def tiny_tag(models, tiny_gguf):
    """Return the name of a base that is in the store."""
    add_base(models, tiny_gguf, "tiny", "latest")
    return "tiny"


@pytest.fixture
def dist(ada, tiny_tag, tmp_path):
    """Return the folder of a release."""
    assert run("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", tmp_path / "dist").code == 0
    return tmp_path / "dist"


@pytest.fixture
def registry():
    """Return a registry of the test's own."""
    with stand_in_registry() as here:
        yield here


@pytest.fixture
def hub(monkeypatch):
    """Return a Hub on this machine that takes commits, which this process uses with its token."""
    pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with playing() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.token = TOKEN
        yield hub
