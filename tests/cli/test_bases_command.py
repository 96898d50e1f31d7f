"""``ollama-pack bases``: the catalog, listed and searched."""

import contextlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from recipes import write_adapter
from safetensors.numpy import load_file, save_file
from terminal import run

from ollama_pack.arch.spec import find_targets, unknown_sizes
from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.base.catalog import base_from_entry, load_catalog
from ollama_pack.base.lookup import read_base_by_name
from ollama_pack.cli.bases_command import builds
from ollama_pack.errors import UnsupportedError
from ollama_pack.lora.tensor_mapping import _unsupported_rule


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
        ("Qwen/Qwen3.5-9B", "yes"),
        ("Qwen/Qwen3.5-2B", "gguf"),
        ("google/gemma-4-E4B-it", "gguf"),
        ("Qwen/Qwen3-30B-A3B", "yes"),
        ("facebook/opt-125m", "no"),
        ("meta-llama/Llama-3.2-11B-Vision-Instruct", "no"),
    ],
)
def test_what_builds(source_id, answer):
    """By its name, or with a GGUF file."""
    line = next(line for line in run("bases").stdout.splitlines() if line.endswith(f" {source_id}"))
    assert line.split()[0] == answer


def test_an_architecture_without_a_row():
    """A base whose architecture or class llama.cpp does not run does not build."""
    entries = load_catalog()
    assert builds(replace(entries[0], arch="clip")) == "no"
    known = {arch.name for arch in all_archs()}
    assert {builds(entry) for entry in entries if entry.arch and entry.arch not in known} == {"no"}


@pytest.mark.parametrize("entry", load_catalog(), ids=lambda entry: entry.source_id)
def test_the_answer_is_what_a_build_says(entry):
    """Of a base that builds, every weight that can be adapted at all is mapped by the base's name alone."""
    answer = builds(entry)
    if answer != "yes":
        with contextlib.suppress(UnsupportedError):
            base = base_from_entry(entry)
            lacks = unknown_sizes(require_arch(entry.arch), base.hparams)
            assert answer == "gguf"
            assert not base.tag or lacks
        return
    base, arch = base_from_entry(entry), require_arch(entry.arch)
    for weight in arch.weights:
        module = weight.module.replace("{i}", "0").replace("{e}", "0")
        for target in find_targets(arch, module, mixture=base.hparams.experts > 0):
            needs_experts = target.expert >= 0 and not base.hparams.experts
            if not (weight.unsupported or weight.optional or needs_experts):
                assert _unsupported_rule(target, base) == ""


def test_mixtures_have_their_experts():
    """A row whose id counts experts or active weights has their number and their size."""
    mixtures = [entry for entry in load_catalog() if re.search(r"\dx\d|-A\d+B|gpt-oss", entry.source_id)]
    assert len(mixtures) >= 9
    assert not [entry.source_id for entry in mixtures if not (entry.experts and entry.expert_feed_forward)]


@pytest.mark.parametrize("tag", ["qwen3:30b", "qwen3:30b-instruct"])
def test_experts_of_a_base_known_by_name(tag, tmp_path):
    """The answer is yes, and an adapter of its experts is built."""
    base = read_base_by_name(tag)
    adapter = write_adapter(
        tmp_path / "ada-lora",
        base=base,
        modules=("q_proj",),
        layers=(0,),
        config={"base_model_name_or_path": base.source_id},
    )
    add_experts(adapter, hidden=2048, inner=768)
    ran = run("build", adapter, "--via", "folder")
    assert ran.code == 0, ran.stderr


def add_experts(adapter, *, hidden, inner):
    """Add LoRA on all 128 experts' up projection of the first layer to an adapter."""
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    rank = next(iter(tensors.values())).shape[0]
    for expert in range(128):
        stem = f"base_model.model.model.layers.0.mlp.experts.{expert}.up_proj"
        tensors[f"{stem}.lora_A.weight"] = np.ones((rank, hidden), np.float32)
        tensors[f"{stem}.lora_B.weight"] = np.ones((inner, rank), np.float32)
    save_file(tensors, path)
    config = json.loads((adapter / "adapter_config.json").read_text())
    modules = [*config["target_modules"], "up_proj"]
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "target_modules": modules}))


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
