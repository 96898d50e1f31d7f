"""A model in several GGUF files, written by gguf's own writer: read as one, or told which part is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from split_model import write_parts
from terminal import run

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.model_info import TOKENS_KEY, read_model_info
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.gguf.split import read_model, require_one_file


@pytest.fixture
def parts(tiny_gguf, tmp_path) -> list[Path]:
    """Split the tiny base, and return its parts."""
    return write_parts(tiny_gguf, tmp_path)


def test_all_parts_are_one_model(parts, tiny_gguf):
    """From any part: the tensors of all, the numbers and tokens of the first."""
    whole = read_gguf(tiny_gguf, (TOKENS_KEY,))
    header = read_model(parts[0], (TOKENS_KEY,))
    assert dict(header.shapes) == dict(whole.shapes)
    assert dict(header.types) == dict(whole.types)
    base, of_whole = read_base_gguf(parts[-1]), read_base_gguf(tiny_gguf)
    assert replace(base, gguf=None, origin="") == replace(of_whole, gguf=None, origin="")
    assert read_model_info(parts[1]).vocabulary.tokens == read_model_info(tiny_gguf).vocabulary.tokens


def test_a_part_is_missing(parts):
    """Its name is told."""
    parts[1].unlink()
    with pytest.raises(InputError) as caught:
        read_model(parts[0])
    assert caught.value.where == str(parts[1])


def test_a_part_is_cut_short(parts):
    """Its name is told."""
    parts[-1].write_bytes(parts[-1].read_bytes()[:100])
    with pytest.raises(InputError) as caught:
        read_model(parts[0])
    assert str(parts[-1]) in caught.value.where


def test_a_part_is_there_twice(parts):
    """A part under another's name has tensors that are there already."""
    parts[1].write_bytes(parts[0].read_bytes())
    with pytest.raises(InputError, match="part of another model"):
        read_model(parts[0])


def test_another_file_in_a_parts_place(parts, tiny_gguf):
    """A whole model is no part."""
    parts[1].write_bytes(tiny_gguf.read_bytes())
    with pytest.raises(InputError, match="part of another model"):
        read_model(parts[0])


def test_another_name(parts):
    """A part that was renamed has lost the others."""
    other = parts[0].rename(parts[0].with_name("model.gguf"))
    with pytest.raises(InputError, match="not named as a part"):
        read_model(other)


def test_ollama_takes_one_file(parts, tiny_gguf, make_adapter, tmp_path):
    """Converting needs the headers alone; a model of them is refused with the tool that joins the parts."""
    require_one_file(tiny_gguf, read_model(tiny_gguf).metadata)
    with pytest.raises(UnsupportedError, match="Ollama takes one") as caught:
        require_one_file(parts[0], read_model(parts[0]).metadata)
    assert "llama-gguf-split --merge" in caught.value.hint
    adapter = make_adapter()
    split = run("convert", adapter, "--base", parts[0], "--out", tmp_path / "a.gguf")
    whole = run("convert", adapter, "--base", tiny_gguf, "--out", tmp_path / "b.gguf")
    assert (split.code, whole.code) == (0, 0)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    ran = run("build", adapter, "ada", "--base", parts[0], "--via", "store", "--store", tmp_path / "models")
    assert ran.code == 4
    assert "llama-gguf-split --merge" in ran.stderr
    assert run("inspect", parts[0]).code == 0
