"""A base of which no Ollama model is known: the way out is a command, and it is followed to the letter."""

import shlex

import pytest
from recipes import write_adapter
from terminal import run

from ollama_pack.base.catalog import load_catalog
from ollama_pack.base.lookup import find_variant, read_base_by_name
from ollama_pack.ollama.names import parse_name

OFFERED = [entry for entry in load_catalog() if entry.hub_gguf]


def adapter_of(folder, source_id, named=""):
    """Write an adapter of a base, under one of the names that trainers give the base."""
    base = read_base_by_name(source_id)
    config = {"base_model_name_or_path": named or source_id}
    return write_adapter(folder / "ada-lora", base=base, modules=("q_proj",), layers=(0,), config=config)


@pytest.mark.parametrize(
    ("source_id", "named"),
    [
        ("Qwen/Qwen2.5-3B", "unsloth/Qwen2.5-3B-bnb-4bit"),
        ("unsloth/phi-4", "unsloth/phi-4-unsloth-bnb-4bit"),
        ("TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T", "unsloth/tinyllama-bnb-4bit"),
    ],
)
@pytest.mark.parametrize("given", [("--via", "folder"), ("ada", "--via", "folder")])
def test_a_gguf_file_on_the_hub(source_id, named, given, tmp_path):
    """The command that is offered builds, with the same name and the same delivery."""
    adapter = adapter_of(tmp_path, source_id, named)
    refused = run("build", adapter, *given)
    assert refused.code == 2
    (line,) = [line for line in refused.stderr.splitlines() if "ollama-pack build" in line]
    command = shlex.split(line.partition("try:")[2])
    assert command[:2] == ["ollama-pack", "build"]
    followed = run(*command[1:])
    assert followed.code == 0, followed.stderr
    assert "FROM hf.co/" in followed.stderr


def test_a_base_to_convert(tmp_path, monkeypatch):
    """Without a known file, the commands name the model, the converter and the file it makes.

    tests/reference/follow_converter.py runs them with llama.cpp's converter.
    """
    adapter = adapter_of(tmp_path, "Qwen/Qwen3-0.6B-Base")
    refused = run("build", adapter, "ada", "--via", "folder")
    lines = [line.strip() for line in refused.stderr.partition("try: ")[2].splitlines()]
    assert lines[0] == "hf download Qwen/Qwen3-0.6B-Base --local-dir Qwen3-0.6B-Base"
    assert lines[1].startswith("python llama.cpp/convert_hf_to_gguf.py Qwen3-0.6B-Base --outfile ")
    command = shlex.split(lines[2])
    made = lines[1].split("--outfile ")[1].split()[0]
    assert command[command.index("--base") + 1] == made == "Qwen3-0.6B-Base.gguf"
    assert command[:4] == ["ollama-pack", "build", str(adapter), "ada"]


@pytest.mark.parametrize("entry", OFFERED, ids=lambda entry: entry.source_id)
def test_an_offered_file_is_of_the_base(entry):
    """It is a name that Ollama pulls, it is offered only without a tag, and it names the same weights."""
    name = f"hf.co/{entry.hub_gguf}"
    assert parse_name(name).display == name
    assert not entry.tags
    meant = find_variant(name)
    assert meant is not None
    assert meant.source_id == entry.source_id
