"""Model names: what Ollama takes, what it refuses, and what directories are called."""

from pathlib import Path

import pytest

from ollama_pack.errors import InputError
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store_layout import blob_path, manifest_path
from ollama_pack.pipeline.naming import name_from_directories, name_from_directory

DEFAULTS = ("registry.ollama.ai", "library")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ada", (*DEFAULTS, "ada", "latest")),
        ("ada:7b", (*DEFAULTS, "ada", "7b")),
        ("Ada.v2_x-1:Q4_K_M", (*DEFAULTS, "Ada.v2_x-1", "Q4_K_M")),
        ("_under", (*DEFAULTS, "_under", "latest")),
        ("love/ada", ("registry.ollama.ai", "love", "ada", "latest")),
        ("localhost:5000/love/ada", ("localhost:5000", "love", "ada", "latest")),
        ("hf.co/love/ada:x", ("hf.co", "love", "ada", "x")),
        ("https://hf.co/love/ada", ("hf.co", "love", "ada", "latest")),
        ("http:///love/ada", ("registry.ollama.ai", "love", "ada", "latest")),
        ("a" * 80, (*DEFAULTS, "a" * 80, "latest")),
        ("my-cloud", (*DEFAULTS, "my-cloud", "latest")),
    ],
)
def test_a_legal_name_has_four_parts(text, parts):
    """Ollama's defaults fill in what is left out, and case is kept."""
    assert parse_name(text).parts == parts


@pytest.mark.parametrize(
    ("text", "part", "suggestion"),
    [
        ("", "model is missing", "adapter"),
        ("ada:", "tag is missing", "ada"),
        ("/ada", "namespace is missing", "ada"),
        ("a//ada", "namespace is missing", "a/library/ada"),
        ("-ada", "model '-ada' must start", "ada"),
        ("ada lovelace", "model 'ada lovelace' contains ' '", "ada-lovelace"),
        ("adé", "model 'adé' contains 'é'", "ade"),
        ("a/b/c/d", "host 'a/b' contains '/'", "a-b/c/d"),
        ("my.org/ada", "namespace 'my.org' contains '.'", "my.org/library/ada"),
        ("localhost:5000/ada", "namespace 'localhost:5000' contains ':'", "localhost:5000/library/ada"),
        ("ada@sha256:00", "model 'ada@sha256' contains '@'", "ada-sha256:00"),
        ("../../etc/passwd", "host '../..' must start", "etc/passwd"),
        ("a" * 81, "81 characters; Ollama accepts at most 80", "a" * 80),
        ("h" * 351 + "/n/m", "351 characters; Ollama accepts at most 350", "h" * 350 + "/n/m"),
        ("ada:cloud", "'cloud' is reserved", "ada"),
        ("ada:Local", "'Local' is reserved", "ada"),
        ("ada:120b-cloud", "'120b-cloud' is reserved", "ada:120b"),
    ],
)
def test_an_illegal_name_is_explained(text, part, suggestion):
    """The error names the part, says why, and suggests a legal name."""
    with pytest.raises(InputError) as caught:
        parse_name(text)
    assert part in caught.value.what
    assert caught.value.hint == f"the name {suggestion}"
    assert str(parse_name(suggestion)) == suggestion


def test_all_faults_are_told_at_once():
    """A name with two bad parts gives one error with both."""
    with pytest.raises(InputError) as caught:
        parse_name("a b:c d")
    assert "model" in caught.value.what
    assert "tag" in caught.value.what


def test_no_illegal_name_can_be_made():
    """A ModelName that leads out of a store cannot exist."""
    with pytest.raises(InputError, match="must start"):
        ModelName("registry.ollama.ai", "..", "ada", "latest")


@pytest.mark.parametrize(
    ("text", "shortest", "display"),
    [
        ("ada", "ada", "ada:latest"),
        ("library/ada:latest", "ada", "ada:latest"),
        ("Library/ada", "Library/ada", "ada:latest"),
        ("registry.ollama.ai/love/ada:x", "love/ada:x", "love/ada:x"),
        ("hf.co/library/ada", "hf.co/library/ada", "hf.co/library/ada:latest"),
    ],
)
def test_a_name_prints_short(text, shortest, display):
    """Defaults are left out; the daemon's own form always has the tag."""
    name = parse_name(text)
    assert (str(name), name.display) == (shortest, display)


def test_case_does_not_tell_models_apart():
    """Ollama compares names without looking at case."""
    assert parse_name("Ada:X").same_as(parse_name("ada:x"))
    assert not parse_name("ada:x").same_as(parse_name("ada:y"))


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("ada-lovelace-lora/", "ada-lovelace"),
        ("ada-lovelace_lora", "ada-lovelace"),
        ("ada-lovelace-qlora", "ada-lovelace"),
        ("ada-lovelace-adapter", "ada-lovelace"),
        ("ada-lora-adapter", "ada"),
        ("Ada-Lovelace-LoRA", "ada-lovelace"),
        ("runs/ada-lora/checkpoint-3", "ada:checkpoint-3"),
        ("runs/ada-lora/checkpoint-best", "checkpoint-best"),
        ("/checkpoint-3", "checkpoint-3"),
        ("flora", "flora"),
        ("lora", "lora"),
        ("-lora", "lora"),
        ("2024", "2024"),
        ("Ada & Charles", "ada-charles"),
        ("Émilie-lora", "emilie"),
        ("日本語", "adapter"),
        ("x" * 200, "x" * 80),
        ("...", "adapter"),
    ],
)
def test_a_directory_names_a_model(directory, name):
    """The name is the directory's, without what says 'adapter', and always legal."""
    found = name_from_directory(Path(directory))
    assert str(found) == name
    assert parse_name(str(found)) == found


@pytest.mark.parametrize(
    ("directories", "adapter", "name"),
    [
        pytest.param(["ada-lora"], "", "ada", id="one is named as alone"),
        pytest.param(["ada-lora", "x/babbage-lora"], "", "ada-babbage", id="several are joined"),
        pytest.param(["ada", "babbage"], "Style", "ada-babbage:style", id="the adapter is the tag"),
        pytest.param(["ada"], "default", "ada", id="the one at the top needs no tag"),
        pytest.param(["ada/checkpoint-3", "babbage"], "", "ada-babbage:checkpoint-3", id="a checkpoint"),
        pytest.param(["ada/checkpoint-3"], "style", "ada:style", id="an adapter of a checkpoint"),
        pytest.param(["ada"], "my-cloud", "ada", id="no tag that is Ollama's"),
        pytest.param(["ada"], "...", "ada", id="no tag that is nothing"),
        pytest.param(["ada"], "mein größter", "ada:mein-gro-ter", id="a tag of other letters"),
        pytest.param(["x" * 50, "y" * 50], "", "x" * 50 + "-" + "y" * 29, id="no longer than Ollama takes"),
        pytest.param(["x" * 80, "y"], "", "x" * 80, id="no dash at the end"),
        pytest.param(["...", "日本"], "", "adapter-adapter", id="none that has letters"),
    ],
)
def test_directories_name_a_model(directories, adapter, name):
    """A sum is called like its adapters, and what Ollama would refuse is left out."""
    found = name_from_directories([Path(directory) for directory in directories], adapter)
    assert str(found) == name
    assert parse_name(str(found)) == found


def test_the_working_directory_has_a_name(tmp_path, monkeypatch):
    """A dot means the directory one stands in, and a checkpoint there belongs to its run."""
    run = tmp_path / "ada-lora"
    (run / "checkpoint-3").mkdir(parents=True)
    monkeypatch.chdir(run)
    assert str(name_from_directory(Path())) == "ada"
    assert str(name_from_directory(Path("checkpoint-3"))) == "ada:checkpoint-3"


def test_paths_in_a_store():
    """A manifest lies under its four parts, a blob under its digest with a dash."""
    store = Path("models")
    found = manifest_path(store, parse_name("love/ada:x"))
    assert found == store / "manifests" / "registry.ollama.ai" / "love" / "ada" / "x"
    assert blob_path(store, "sha256:" + "a" * 64) == store / "blobs" / ("sha256-" + "a" * 64)


@pytest.mark.parametrize(
    "digest", ["", "sha256:abc", "sha256:" + "A" * 64, "md5:" + "a" * 64, "sha256:../" + "a" * 61]
)
def test_what_is_no_digest_has_no_blob(digest):
    """A digest that is none never becomes a path."""
    with pytest.raises(InputError, match="not a SHA-256"):
        blob_path(Path("models"), digest)
