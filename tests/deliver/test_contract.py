"""What every destination that registers a model must do, tested on each of them alike."""

import hashlib
import json
import os
from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, TEMPLATE, add_base, blob, kinds_of, manifest_of, snapshot
from tiny_model import base_noun, make_adapter, make_base, make_header

from ollama_pack.base import digest_memory
from ollama_pack.deliver.package import REPLACED
from ollama_pack.errors import DestinationError, ProofError, UnsupportedError
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path


def test_the_manifest_exists_under_the_name(way, package):
    """A model that was put has a manifest whose digest the receipt tells."""
    receipt = way.put(package)
    content = manifest_path(way.store, package.name).read_bytes()
    assert receipt.digest == hashlib.sha256(content).hexdigest()


def test_the_base_layers_come_first_and_the_adapter_follows(way, package):
    """The layers are the base's, then the adapter, then what the package sets."""
    way.put(replace(package, system="Be brief.", messages=({"role": "user", "content": "hi"},)))
    kinds = kinds_of(manifest_of(way.store, package.name.model))
    assert kinds == ["model", "template", "license", "adapter", "system", "params", "messages"]


def test_the_adapter_arrives_byte_for_byte(way, package):
    """The adapter's blob has the bytes of the file."""
    way.put(package)
    layer = next(
        layer
        for layer in manifest_of(way.store, package.name.model)["layers"]
        if layer["mediaType"].endswith(".adapter")
    )
    assert blob(way.store, layer["digest"]) == package.adapter.path.read_bytes()


def test_what_is_left_empty_is_inherited(way, package):
    """A package that says nothing has the base's template and parameters."""
    way.put(package)
    contents = _contents(way.store, package)
    assert contents["template"] == TEMPLATE.encode()
    assert json.loads(contents["params"]) == {"stop": ["<|end|>"], "temperature": 0.25, "top_k": 7}


def test_parameters_are_laid_over_the_base(way, package):
    """A parameter of the package wins, one it does not name stays."""
    way.put(replace(package, parameters={"temperature": 0, "num_ctx": 256}))
    params = json.loads(_contents(way.store, package)["params"])
    assert params == {"stop": ["<|end|>"], "temperature": 0, "top_k": 7, "num_ctx": 256}


def test_a_template_replaces_the_base_template(way, package):
    """There is one template, and it is the package's."""
    way.put(replace(package, template="{{ .Prompt }}!"))
    kinds = kinds_of(manifest_of(way.store, package.name.model))
    assert kinds.count("template") == 1
    assert _contents(way.store, package)["template"] == b"{{ .Prompt }}!"


def test_licenses_are_added(way, package):
    """The base's licence stays, the package's follow it."""
    way.put(replace(package, licenses=("One.", "Two.")))
    kinds = kinds_of(manifest_of(way.store, package.name.model))
    assert kinds.count("license") == 3


def test_every_blob_is_there(way, package):
    """Each layer and the configuration have a blob of the size and digest the manifest says."""
    way.put(replace(package, system="Be brief.", licenses=("One.",)))
    manifest = manifest_of(way.store, package.name.model)
    for layer in (*manifest["layers"], manifest["config"]):
        content = blob(way.store, layer["digest"])
        assert (len(content), hashlib.sha256(content).hexdigest()) == (layer["size"], layer["digest"][7:])


def test_putting_twice_changes_nothing(way, package):
    """The same package again gives the same digest, and moves no large file."""
    first = way.put(package)
    second = way.put(package)
    assert second.digest == first.digest
    assert second.bytes_written < package.adapter.size


def test_a_model_of_the_name_is_replaced(way, package):
    """Another package of the same name takes the name."""
    first = way.put(package)
    second = way.put(replace(package, system="Be different."))
    assert REPLACED in second.lines
    assert REPLACED not in first.lines
    assert second.digest != first.digest
    assert "system" in kinds_of(manifest_of(way.store, package.name.model))


def test_an_existing_spelling_is_taken_over(way, package):
    """A name that differs in case only is the same model."""
    lower = parse_name(f"case-{package.name.model}")
    way.put(replace(package, name=lower))
    receipt = way.put(replace(package, name=parse_name(str(lower).upper()), system="Again."))
    directory = way.store / "manifests" / "registry.ollama.ai" / "library"
    assert [p.name for p in directory.iterdir() if p.name.lower() == lower.model] == [lower.model]
    assert receipt.digest == hashlib.sha256(manifest_path(way.store, lower).read_bytes()).hexdigest()


def test_namespace_and_tag_are_kept(way, package):
    """A full name lands where it says."""
    name = parse_name(f"ada/{package.name.model}:checkpoint-3")
    receipt = way.put(replace(package, name=name))
    assert manifest_path(way.store, name).is_file()
    assert receipt.name == str(name)


def test_the_base_stays_as_it_was(way, package):
    """Nothing of the base is changed by building on it."""
    before = manifest_of(way.store, BASE_TAG)
    way.put(replace(package, template="{{ .Prompt }}", system="Be brief."))
    assert manifest_of(way.store, BASE_TAG) == before
    assert all(blob(way.store, layer["digest"]) for layer in before["layers"])


def test_without_its_base_a_model_is_not_made(way, package):
    """A base that is nowhere is an error, and leaves no model."""
    orphan = replace(package, base=base_noun(tag="127.0.0.1:9/library/nowhere"))
    with pytest.raises(DestinationError):
        way.put(orphan)
    assert not manifest_path(way.store, package.name).exists()


def test_a_base_that_would_ignore_the_adapter_is_refused(way, package, gguf_base):
    """A model of another engine takes the adapter and forgets it; nothing is made of it."""
    add_base(way.store, gguf_base, tag="mlx", engine="safetensors")
    with pytest.raises(UnsupportedError, match="not a GGUF model"):
        way.put(replace(package, base=base_noun(tag="mlx")))
    assert not manifest_path(way.store, package.name).exists()


def test_an_adapter_that_does_not_fit_is_refused(way, package, tmp_path):
    """What llama.cpp would not load is not registered, and the first tensors are named."""
    add_base(way.store, make_header(tmp_path / "h.gguf", "llama"), tag="narrow")
    with pytest.raises(ProofError, match=r"narrow is not the base") as caught:
        way.put(replace(package, base=base_noun(tag="narrow")))
    assert "the base has no blk.{0-1}.attn_v.weight" in caught.value.what
    assert not manifest_path(way.store, package.name).exists()


def test_a_base_of_a_cloud_is_refused(way, package, gguf_base):
    """A model that runs on another machine cannot take an adapter; nothing is made of it."""
    add_base(way.store, gguf_base, tag="far-away", remote="https://ollama.com:443")
    # A daemon whose cloud is switched off says so itself.
    with pytest.raises(
        (UnsupportedError, DestinationError), match=r"runs on another machine|cloud is disabled"
    ):
        way.put(replace(package, base=base_noun(tag="far-away")))
    assert not manifest_path(way.store, package.name).exists()


def test_a_base_that_will_not_load_is_told(way, package, tmp_path):
    """A base in a form of Ollama's own does not load with an adapter from 0.40 on, which the receipt says."""
    add_base(way.store, make_header(tmp_path / "g.gguf", "gptoss", whole=True), tag="own-form")
    adapter = make_adapter(tmp_path / "l.gguf", arch="gpt-oss")
    receipt = way.put(replace(package, adapter=adapter, base=base_noun(tag="own-form")))
    (line,) = (line for line in receipt.lines if line.startswith("own-form: Ollama "))
    assert "without LoRA" in line or "does not load it with an adapter" in line


def test_a_base_with_an_adapter_is_told(way, package):
    """Two adapters add up, which the receipt says."""
    way.put(package)
    second = replace(package, name=parse_name(f"{package.name}-s"), base=base_noun(tag=str(package.name)))
    receipt = way.put(second)
    assert f"{package.name} already has an adapter: Ollama applies both" in receipt.lines
    assert kinds_of(manifest_of(way.store, second.name.model)).count("adapter") == 2


def test_progress_reaches_the_end(way, package, adapter, tmp_path):
    """Every label counts up to its total."""
    told = []
    fresh = make_adapter(tmp_path / "fresh.gguf", seed=int(package.name.model.rpartition("-")[2]) + 100)
    way.put(replace(package, adapter=fresh), lambda *step: told.append(step))
    moved = [(done, total) for label, done, total in told if "fresh.gguf" in label]
    assert moved
    assert moved[-1] == (fresh.size, fresh.size)
    assert moved == sorted(moved)


@pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: nothing is remembered on this system")
def test_a_gguf_base_is_read_once_for_its_digest(way, package, tmp_path, monkeypatch):
    """The second model on a base comes from what is remembered of it, with the same base."""
    monkeypatch.setattr(digest_memory, "SETTLED_SECONDS", -60.0)
    mine = replace(package, base=base_noun(gguf_file=make_base(tmp_path / "mine.gguf")))
    bases, reads = [], []
    for name in (str(package.name), f"{package.name}-s"):
        told = []
        way.put(replace(mine, name=parse_name(name)), lambda *step, told=told: told.append(step[0]))
        bases.append(manifest_of(way.store, name)["layers"][0]["digest"])
        reads.append("reading mine.gguf" in told)
    assert bases[0] == bases[1]
    assert reads == [True, False]


def test_a_plan_changes_nothing(way, package):
    """Planning writes no file, and knows whether the name is taken."""
    before = snapshot(way.store)
    planned = way.plan(package)
    assert snapshot(way.store) == before
    assert not planned.replaces
    assert any(label == "adapter" for label, _ in planned.items)
    way.put(package)
    assert way.plan(package).replaces


def _contents(store, package):
    manifest = manifest_of(store, package.name.model)
    return {
        layer["mediaType"].rpartition(".")[2]: blob(store, layer["digest"])
        for layer in manifest["layers"]
        if not layer["mediaType"].endswith((".model", ".adapter"))
    }
