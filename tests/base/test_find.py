"""Which base an adapter belongs to: the strongest clue wins, and files are told from names."""

from dataclasses import replace
from pathlib import Path

import pytest

from ollama_pack.base.catalog import load_catalog
from ollama_pack.base.find import BaseReferences, find_base, is_path
from ollama_pack.errors import InputError, UnsupportedError

SEVEN, THIRTEEN = "lmsys/vicuna-7b-v1.5", "lmsys/vicuna-13b-v1.5"


def test_option_beats_everything(tiny_gguf, tmp_path):
    """--base wins over Modelfile.txt and the configuration."""
    clues = BaseReferences(option=str(tiny_gguf), modelfile_from="vicuna:13b", adapter_base=SEVEN)
    assert find_base(clues).gguf == tiny_gguf


def test_modelfile_beats_the_configuration():
    """FROM wins over base_model_name_or_path, and keeps its tag."""
    base = find_base(BaseReferences(modelfile_from="vicuna:13b", adapter_base=SEVEN))
    assert (base.source_id, base.tag) == (THIRTEEN, "vicuna:13b")


def test_configuration_is_last():
    """Without anything else the configuration names the base, and the catalog its tag."""
    base = find_base(BaseReferences(adapter_base=SEVEN))
    assert (base.source_id, base.tag, base.hparams.blocks) == (SEVEN, "vicuna:7b", 32)


def test_nothing_names_a_base():
    """Without a clue the error says where one could stand, and how to give one."""
    with pytest.raises(InputError, match="Nothing says which base") as caught:
        find_base(BaseReferences())
    assert "base_model_name_or_path" in caught.value.where
    assert "--base" in caught.value.hint


def test_from_is_relative_to_the_modelfile(tiny_gguf, tmp_path, monkeypatch):
    """A path behind FROM starts at the Modelfile; one behind --base where the command is typed."""
    (tmp_path / "ada").mkdir()
    (tmp_path / "base.gguf").write_bytes(tiny_gguf.read_bytes())
    clues = BaseReferences(modelfile_from="../base.gguf", directory=tmp_path / "ada")
    assert find_base(clues).gguf.samefile(tmp_path / "base.gguf")
    monkeypatch.chdir(tmp_path)
    assert find_base(BaseReferences(option="base.gguf", directory=tmp_path / "ada")).gguf == Path("base.gguf")
    with pytest.raises(InputError, match="There is no such file"):
        find_base(BaseReferences(option="../base.gguf", directory=tmp_path / "ada"))


def test_home(tiny_gguf, tmp_path, monkeypatch):
    """A tilde is the user's home, behind --base and behind FROM."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "base.gguf").write_bytes(tiny_gguf.read_bytes())
    for clues in (
        BaseReferences(option="~/base.gguf"),
        BaseReferences(modelfile_from="~/base.gguf", directory=Path("x")),
    ):
        assert find_base(clues).gguf == tmp_path / "base.gguf"


def test_own_model_borrows_numbers():
    """A model no catalog knows is taken to be like the base the adapter names, and a note says so."""
    for clues in (
        BaseReferences(option="my-vicuna:q8", adapter_base=SEVEN),
        BaseReferences(modelfile_from="my-vicuna:q8", adapter_base=SEVEN),
    ):
        base = find_base(clues)
        assert (base.tag, base.hparams.blocks, base.source_id) == ("my-vicuna:q8", 32, SEVEN)
        assert any("my-vicuna:q8 is not in the catalog" in note for note in base.notes)


def test_known_model_borrows_nothing():
    """A model the catalog knows has its own numbers, whatever the adapter names."""
    base = find_base(BaseReferences(option="vicuna:13b", adapter_base=SEVEN))
    assert base.hparams.blocks == 40
    assert not any("not in the catalog" in note for note in base.notes)


@pytest.mark.parametrize("name", ["nobody/knows-this-model", "no such name"])
def test_what_cannot_borrow(name):
    """An unknown Hugging Face id is not taken for a model of the user's, nor is what is no name."""
    with pytest.raises(InputError):
        find_base(BaseReferences(option=name, adapter_base=SEVEN))


def test_misspelt():
    """An unknown name without anything to borrow from is told with names that are alike."""
    with pytest.raises(InputError, match="vicunna:7b") as caught:
        find_base(BaseReferences(option="vicunna:7b"))
    assert "vicuna:7b" in caught.value.hint


def test_row_without_numbers():
    """A base whose numbers the catalog lacks is told as that, with the way out."""
    bare = next(entry for entry in load_catalog() if entry.arch == "gemma4")
    with pytest.raises(UnsupportedError, match="does not know") as caught:
        find_base(BaseReferences(adapter_base=bare.source_id))
    assert "--base FILE.gguf" in caught.value.hint


@pytest.mark.parametrize("text", ["./x", "../x", "/x", "~/x", "x.gguf", "X.GGUF", ".", "a/b.gguf"])
def test_looks_like_a_path(text, tmp_path):
    """What is spelt like a path is one, whether a file is there or not."""
    assert is_path(text, tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["vicuna", "vicuna:7b", SEVEN, "a" * 300, "a\0b", ""])
def test_looks_like_a_name(text, tmp_path):
    """What is spelt like a name is one, as long as no file has it; a directory proves nothing."""
    assert not is_path(text, tmp_path / text)
    (tmp_path / "there").mkdir()
    assert not is_path("there", tmp_path / "there")


def test_file_without_an_ending(tmp_path):
    """A file is a file, however it is called."""
    (tmp_path / "vicuna").touch()
    assert is_path("vicuna", tmp_path / "vicuna")


def test_model_that_ollama_does_not_run():
    """OPT is known, and refused as what no GGUF file helps with."""
    with pytest.raises(UnsupportedError, match="no support for OPTForCausalLM") as caught:
        find_base(BaseReferences(adapter_base="facebook/opt-125m"))
    assert "--base" not in caught.value.hint


@pytest.mark.parametrize(
    "name", ["hf.co/me/mine-GGUF:Q4_K_M", "me/mine", "me/mine:q8", "registry.example/me/mine:q8"]
)
def test_from_any_model(name):
    """FROM is an Ollama model, wherever it is, and borrows the numbers of the base that the adapter names."""
    base = find_base(BaseReferences(modelfile_from=name, adapter_base=SEVEN))
    assert (base.tag, base.hparams.blocks, base.gguf) == (name, 32, None)
    assert any(f"the numbers of {SEVEN} are used" in note for note in base.notes)
    if name != "me/mine":  # --base takes that for a Hugging Face id, and says how to name a model
        assert find_base(BaseReferences(option=name, adapter_base=SEVEN)).tag == name
        return
    with pytest.raises(InputError) as caught:
        find_base(BaseReferences(option=name, adapter_base=SEVEN))
    assert "--base me/mine:latest  names an Ollama model" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "hf.co/bartowski/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M",
        "hf.co/bartowski/Qwen2.5-1.5B-Instruct-GGUF",
        "huggingface.co/bartowski/Qwen2.5-1.5B-Instruct-GGUF",
        "modelscope.cn/Qwen/Qwen2.5-1.5B-Instruct-GGUF",
        "hf.co/bartowski/Qwen2.5-1.5B-Instruct-GGUF:Qwen2.5-1.5B-Instruct-Q4_K_M.gguf",
    ],
)
def test_a_gguf_of_the_hub_that_is_known(name):
    """FROM stays, with or without a tag; the numbers are those of the model that the file is made of."""
    for clues in (BaseReferences(modelfile_from=name), BaseReferences(option=name, adapter_base=SEVEN)):
        base = find_base(clues)
        assert (base.tag, base.source_id) == (name, "Qwen/Qwen2.5-1.5B-Instruct")


def test_a_row_without_numbers_whose_model_is_installed():
    """What a row lacks is read from the model that the row names."""
    seen = []

    def installed(name):
        seen.append(name)
        return replace(find_base(BaseReferences(option="vicuna:7b")), tag=name, source_id="")

    base = find_base(BaseReferences(adapter_base="google/gemma-4-E4B-it"), installed)
    assert seen == ["gemma4:e4b"]
    assert (base.tag, base.source_id) == ("gemma4:e4b", "google/gemma-4-E4B-it")
    with pytest.raises(UnsupportedError, match="does not know"):
        find_base(BaseReferences(adapter_base="google/gemma-4-E4B-it"))


def test_an_own_model_with_the_name_of_a_base():
    """FROM a model of the user's stays FROM that model, however much its name looks like an id."""

    def installed(name):
        return replace(find_base(BaseReferences(option="vicuna:7b")), tag=f"{name}:latest", source_id="")

    named = "llama-3.2-3b-instruct-q8"
    base = find_base(BaseReferences(modelfile_from=named))
    assert (base.tag, base.source_id) == (named, "meta-llama/Llama-3.2-3B-Instruct")
    for own in (named, "vicuna-7b-v1.5"):
        assert find_base(BaseReferences(modelfile_from=own), installed).tag == f"{own}:latest"
    assert find_base(BaseReferences(modelfile_from="vicuna-7b-v1.5")).tag == "vicuna:7b"
    assert find_base(BaseReferences(adapter_base="vicuna-7b-v1.5"), installed).tag == "vicuna:7b"
