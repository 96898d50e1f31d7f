"""A model of the user's own as the base: its numbers come from a daemon, or from its header."""

import fake_daemon
import pytest
from scratch_store import BASE_TAG, upgrade
from tiny_model import BLOCKS, FEED_FORWARD, HEAD_DIM, HEADS, HIDDEN, KV_HEADS
from ways import NOBODY, live

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.installed import base_of_installed, installed_names, look_up
from ollama_pack.errors import InputError
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name


@pytest.fixture(params=[live(whom) for whom in ("older layout", "newer layout", "fake 0.33", "real daemon")])
def places(request):
    """Return where the tiny base is installed."""
    (whom,) = request.param
    if whom == "real daemon":
        yield OllamaLocations(request.getfixturevalue("real").address, ())
        return
    models = request.getfixturevalue("models")
    if whom.endswith("layout"):
        if whom == "newer layout":
            upgrade(models)
        yield OllamaLocations(NOBODY, (models,), named=True)
        return
    with fake_daemon.running(models, "0.33") as server:
        yield OllamaLocations(server.address, ())


def test_its_numbers(places, gguf_base):
    """The same as from its file, whoever tells them."""
    base, of_file = base_of_installed(places, BASE_TAG), read_base_gguf(gguf_base)
    assert (base.hparams.blocks, base.hparams.heads, base.hparams.kv_heads, base.hparams.hidden) == (
        BLOCKS,
        HEADS,
        KV_HEADS,
        HIDDEN,
    )
    assert (base.hparams.head_dim, base.hparams.feed_forward) == (HEAD_DIM, FEED_FORWARD)
    assert dict(base.tensors) == dict(of_file.tensors)
    assert (base.hparams.vocab, base.hparams.tied, base.hparams.arch) == (
        of_file.hparams.vocab,
        of_file.hparams.tied,
        of_file.hparams.arch,
    )
    assert (base.tag, base.gguf) == (f"{BASE_TAG}:latest", None)


def test_what_is_there(places, gguf_base):
    """Its digest, its blob, and that it has no adapter."""
    found = look_up(places, parse_name(BASE_TAG))
    assert not found.has_adapter
    assert found.blob.startswith("sha256:")
    assert any(name.model == BASE_TAG for name in installed_names(places))
    with pytest.raises(InputError, match="There is no model"):
        look_up(places, parse_name("nothing-at-all"))


def test_nowhere(tmp_path):
    """Without daemon and store nothing is installed."""
    nowhere = OllamaLocations(NOBODY, (tmp_path / "none",))
    assert installed_names(nowhere) == []
    assert base_of_installed(nowhere, "ada") is None
    assert base_of_installed(nowhere, "no name at all!") is None
