"""Models of Hugging Face on this machine: found by id or path, and what their config.json tells the proof."""

import json
import os
from pathlib import Path

import pytest

from ollama_pack.base.find import BaseReferences, find_base
from ollama_pack.base.hf_cache import cache, find_local
from ollama_pack.base.hf_config import read_config
from ollama_pack.errors import InputError
from ollama_pack.pipeline.inputs import expected_base
from ollama_pack.pipeline.request import Request

REVISION, OTHER = "a" * 40, "b" * 40
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "vocab_size": 320,
    "rope_theta": 500000.0,
    "max_position_embeddings": 8192,
}


def snapshot(hub: Path, name: str, revision: str = REVISION, *, main: bool = True, **changes) -> Path:
    """Put a model into the hub's cache, as `huggingface_hub` does."""
    repository = hub / f"models--{name.replace('/', '--')}"
    directory = repository / "snapshots" / revision
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    if main:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(revision)
    return directory


def test_where_the_cache_is(tmp_path):
    """As `huggingface_hub` decides it."""
    assert cache({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert cache({"HF_HOME": "/b"}) == Path("/b/hub")
    assert cache({}) == Path.home() / ".cache" / "huggingface" / "hub"


def test_found_by_id(tmp_path):
    """The snapshot of the main branch, else any that is there; nothing where there is none."""
    environment = {"HF_HUB_CACHE": str(tmp_path)}
    assert find_local("me/mine", environment) is None
    old = snapshot(tmp_path, "me/mine", OTHER, main=False)
    assert find_local("me/mine", environment) == old
    main = snapshot(tmp_path, "me/mine")
    assert find_local("me/mine", environment) == main


@pytest.mark.parametrize("main", ["", "../../etc", "x" * 40, "\xff", "c" * 40])
def test_a_reference_that_is_none(main, tmp_path):
    """What leads nowhere is passed over, and never followed out of the cache."""
    there = snapshot(tmp_path, "me/mine")
    (there.parent.parent / "refs" / "main").write_text(main, "latin-1")
    assert find_local("me/mine", {"HF_HUB_CACHE": str(tmp_path)}) == there


@pytest.mark.parametrize("name", ["", "../x/y", "a/b/c", "/", "me/..", "x" * 5000, "a\0b/c", "me\n/x"])
def test_a_name_that_is_none(name, tmp_path):
    """No name leads out of the cache, and none is too strange to be asked for."""
    assert find_local(name, {"HF_HUB_CACHE": str(tmp_path)}) is None


def test_a_directory(tmp_path):
    """A path is a model where config.json lies in it."""
    assert find_local(str(tmp_path), {}) is None
    (tmp_path / "config.json").write_text("{}")
    assert find_local(str(tmp_path), {}) == tmp_path


def test_a_base_no_catalog_knows(tmp_path, monkeypatch):
    """Its numbers come from the copy on this machine, which is said; it has no Ollama model."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="No base is known"):
        find_base(BaseReferences(adapter_base="me/mine"))
    snapshot(tmp_path, "me/mine")
    for clues in (BaseReferences(adapter_base="me/mine"), BaseReferences(option="me/mine")):
        base = find_base(clues)
        assert (base.hparams.blocks, base.hparams.heads, base.hparams.kv_heads, base.hparams.hidden) == (
            2,
            4,
            2,
            64,
        )
        assert (base.source_id, base.tag) == ("me/mine", "")
        assert base.origin == "config.json of me/mine on this machine"


def test_a_path_is_no_id(tmp_path):
    """A base that was trained from a directory is known by it, and its path is not told on."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    base = find_base(BaseReferences(adapter_base=str(tmp_path)))
    assert (base.hparams.blocks, base.source_id) == (2, "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (500000.0, 8192)),
        ({"rope_theta": None, "rope_parameters": {"rope_theta": 1e4}}, (1e4, 8192)),
        ({"rope_theta": "much", "max_position_embeddings": None, "n_positions": 1024}, (0.0, 1024)),
        ({"text_config": {"rope_theta": 1e6, "max_position_embeddings": 4096}}, (1e6, 4096)),
        ({"rope_theta": None, "rope_parameters": 3, "max_position_embeddings": None}, (0.0, 0)),
    ],
)
def test_positions(changes, expected, tmp_path):
    """Transformers 4 and 5 spell them differently; what is not said is 0."""
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = read_config(tmp_path).positions()
    rope, context = found.rope_base, found.context
    assert context == expected[1]
    assert rope == expected[0]


def test_two_sources_that_disagree(tmp_path, monkeypatch, make_adapter):
    """config.json on this machine counts before the catalog, and in what they differ is told."""
    from ollama_pack.lora.peft.load import read_adapter

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot(tmp_path, "lmsys/vicuna-7b-v1.5")
    directory = make_adapter(config={"base_model_name_or_path": "lmsys/vicuna-7b-v1.5"})
    known = expected_base(
        directory, read_adapter(directory).base_id, Request(directory=directory), os.environ
    )
    assert known.hparams.heads == 4
    assert any("heads = 4, but the catalog says 32" in note for note in known.notes)


def test_it_is_compared_with_the_base(tmp_path, monkeypatch, make_adapter):
    """The copy's rotary base, context and heads are what the base must have."""
    from ollama_pack.lora.peft.load import read_adapter

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot(tmp_path, "me/mine")
    directory = make_adapter(config={"base_model_name_or_path": "me/mine"})
    request = Request(directory=directory, strict=True, base_mismatch_ok=("eos",))
    known = expected_base(directory, read_adapter(directory).base_id, request, os.environ)
    assert (known.positions.rope_base, known.positions.context, known.hparams.heads) == (500000.0, 8192, 4)
    assert (known.strict, known.accepted, known.base_id) == (True, frozenset({"eos"}), "me/mine")
