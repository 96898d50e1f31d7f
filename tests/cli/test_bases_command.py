"""``ollama-pack bases``: the catalog, listed and searched."""

from dataclasses import replace

import pytest
from terminal import run

from ollama_pack.arch.table import ARCHS
from ollama_pack.base.catalog import load_catalog
from ollama_pack.cli.bases_command import builds


def test_lists_all():
    """Every row of the catalog is a line, and nothing is said on stderr."""
    ran = run("bases")
    assert (ran.code, ran.stderr) == (0, "")
    header, *lines = ran.stdout.splitlines()
    assert header.split() == ["builds", "Ollama", "model", "architecture", "Hugging", "Face", "id"]
    assert [line.split()[-1] for line in lines] == [entry.source_id for entry in load_catalog()]


@pytest.mark.parametrize(
    ("source_id", "answer"),
    [
        ("lmsys/vicuna-7b-v1.5", "yes"),
        ("lmsys/vicuna-7b-v1.3", "gguf"),
        ("google/gemma-3n-E2B-it", "yes"),
        ("Qwen/Qwen3.5-9B", "gguf"),
    ],
)
def test_what_builds(source_id, answer):
    """By its name, or with a GGUF file."""
    line = next(line for line in run("bases").stdout.splitlines() if line.endswith(f" {source_id}"))
    assert line.split()[0] == answer


def test_an_architecture_without_a_row():
    """A base whose architecture nobody has added yet does not build; none of the catalog is one."""
    entries = load_catalog()
    assert builds(replace(entries[0], arch="clip")) == "no"
    assert {entry.arch for entry in entries} - {""} <= {arch.name for arch in ARCHS}


@pytest.mark.parametrize("search", ["vicuna:7b", "VICUNA-7B", "lmsys/"])
def test_search(search):
    """Tags and ids are searched, in any case."""
    lines = run("bases", search).stdout.splitlines()
    assert any("lmsys/vicuna-7b-v1.5" in line for line in lines)
    assert len(lines) < 20


def test_aliases_are_searched():
    """A mirror's id finds the model it mirrors."""
    entry = next(entry for entry in load_catalog() if entry.aliases)
    assert entry.source_id in run("bases", entry.aliases[0]).stdout


def test_nothing_found():
    """Nothing found is no error, but it is said."""
    ran = run("bases", "no-such-base")
    assert (ran.code, ran.stdout) == (0, "")
    assert "no-such-base" in ran.stderr


def test_json():
    """The document has every field of a row; what is unknown is null or empty."""
    document = run("bases", "vicuna-7b-v1.5", "--json").document
    assert (document["schema_version"], document["kind"]) == (1, "bases")
    row = document["bases"][0]
    assert row["tags"][0] == "vicuna:7b"
    assert (row["architecture"], row["blocks"], row["hidden"]) == ("llama", 32, 4096)
    assert run("bases", "no-such-base", "--json").document["bases"] == []
    assert len(run("bases", "--json").document["bases"]) == len(load_catalog())
