"""How large a base is: the same from its file, its store, its daemon and its registry."""

import gguf
import pytest
from recipes import write_model

from ollama_pack.base.base_weights import weights_of
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.model import BaseModel, BaseWeights
from ollama_pack.gguf.ggml_types import BLOCKS, NAMES
from ollama_pack.ollama.locations import OllamaLocations

NOWHERE = OllamaLocations("http://127.0.0.1:9", ())


def test_the_names_of_types():
    """Each type of which the size is known has the name that the gguf library gives it, where it knows it."""
    assert NAMES.keys() == BLOCKS.keys()
    known = {each.value: each.name for each in gguf.GGMLQuantizationType}
    assert {kind: name for kind, name in NAMES.items() if known.get(kind, name) != name} == {}
    assert len(known.keys() & NAMES.keys()) > 25


def test_a_file(tmp_path, tiny_gguf):
    """Its size is that of the file; one that is gone has none."""
    base = read_base_gguf(tiny_gguf)
    found = weights_of(base, NOWHERE)
    assert (found.size, dict(found.shapes)) == (tiny_gguf.stat().st_size, dict(base.tensors))
    gone = read_base_gguf(write_model(tmp_path / "gone.gguf"))
    (tmp_path / "gone.gguf").unlink()
    assert weights_of(gone, NOWHERE) is None


@pytest.mark.parametrize("told", [None, BaseWeights(7, {}, {})])
def test_a_name(tiny_base, told):
    """Of a name that is nowhere only what a registry told is known."""
    assert isinstance(tiny_base, BaseModel)
    from dataclasses import replace

    assert weights_of(replace(tiny_base, tag="nowhere:1b", weights=told), NOWHERE) is told
