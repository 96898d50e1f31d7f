"""``ollama-pack convert``: the GGUF LoRA alone."""

import pytest
from recipes import read_numbers
from terminal import run, tree

from ollama_pack.gguf.reader import read_gguf


def test_into_the_directory(ada, tiny_gguf, models):
    """The file goes into a directory beside the weights, its path to stdout; nothing else is written."""
    before = tree(ada)
    ran = run("convert", ada, "--base", tiny_gguf)
    assert (ran.code, ran.stdout) == (0, f"{ada / 'ollama' / 'adapter_model.gguf'}\n")
    assert tree(ada).keys() - before.keys() == {"ollama", "ollama/adapter_model.gguf"}
    assert not models.exists()


def test_out(ada, tiny_gguf, tmp_path):
    """--out names the file, and its directory is made."""
    before = tree(ada)
    target = tmp_path / "new" / "place" / "ada.gguf"
    assert run("convert", ada, "--base", tiny_gguf, "--out", target).stdout == f"{target}\n"
    assert read_gguf(target).text("general.type") == "adapter"
    assert tree(ada) == before
    assert list(target.parent.iterdir()) == [target]


def test_outtype(ada, tiny_gguf, tmp_path):
    """f32 keeps float32 weights as they are, and the proof says so; f16 is half as large."""
    wide, narrow = tmp_path / "wide.gguf", tmp_path / "narrow.gguf"
    ran = run("convert", ada, "--base", tiny_gguf, "--out", wide, "--outtype", "f32")
    run("convert", ada, "--base", tiny_gguf, "--out", narrow)
    assert "within 0.0e+00" in ran.stderr
    assert wide.stat().st_size > 1.4 * narrow.stat().st_size


def test_twice_the_same_bytes(ada, tiny_gguf):
    """A second conversion gives the same bytes in place of the first."""
    run("convert", ada, "--base", tiny_gguf)
    before = tree(ada)
    assert run("convert", ada, "--base", tiny_gguf).code == 0
    assert tree(ada) == before


def test_json(ada, tiny_gguf):
    """--json prints one document with base, file and proof."""
    ran = run("convert", ada, "--base", tiny_gguf, "--json")
    document = ran.document
    assert list(document) == ["schema_version", "kind", "base", "lora", "proofs"]
    assert document["kind"] == "convert"
    assert document["lora"]["size"] == (ada / "ollama" / "adapter_model.gguf").stat().st_size
    assert "proof" in ran.stderr


def test_quiet(ada, tiny_gguf):
    """With -q only the path is printed."""
    ran = run("convert", ada, "--base", tiny_gguf, "-q")
    assert (ran.code, ran.stderr) == (0, "")


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_other_dtypes(make_adapter, tiny_gguf, dtype):
    """Adapters saved in half precision convert and pass their proof too."""
    adapter = make_adapter(dtype=dtype)
    assert run("convert", adapter, "--base", tiny_gguf).code == 0
    written = read_gguf(adapter / "ollama" / "adapter_model.gguf")
    assert len(written.shapes) == len(read_numbers(adapter / "adapter_model.safetensors"))


def test_wrong_outtype(ada):
    """Another type is a wrong usage that names those there are."""
    ran = run("convert", ada, "--outtype", "q4_0")
    assert (ran.code, ran.stdout) == (2, "")
    assert "f16" in ran.stderr
