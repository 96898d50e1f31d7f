"""``build --merge``: the merged model in a folder and in a store, with the prompt of its base."""

import json

import fake_daemon
import pytest
import scratch_store
from recipes import TINY, resized, write_model
from terminal import run
from test_example import ADA

from ollama_pack.disk.files import sha256_of_file
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.ollama.store_layout import blob_path


@pytest.fixture
def tiny(models, tiny_gguf, monkeypatch) -> str:
    """Return the name of an installed base with a template."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, tiny_gguf, tag="tiny", template="{{ .Prompt }}!")
    return "tiny"


def layers_of(models, name):
    """Return the kind of each layer of a model, with the content of the small ones."""
    path = models / "manifests" / "registry.ollama.ai" / "library" / name / "latest"
    layers = json.loads(path.read_text())["layers"]
    return {layer["mediaType"].rpartition(".")[2]: blob_path(models, layer["digest"]) for layer in layers}


def test_a_folder(ada, tiny_gguf, tmp_path):
    """The Modelfile is FROM the merged file, without ADAPTER; register and verify know the folder."""
    out = tmp_path / "out"
    ran = run("build", ada, "--merge", "--base", tiny_gguf, "--via", "folder", "--out", out)
    assert ran.code == 0, ran.stderr
    assert "merged: " in ran.stderr
    assert "without --merge it would be an adapter of" in ran.stderr
    text = (out / "Modelfile.txt").read_text()
    assert "FROM ./merged_model.gguf" in text
    assert "ADAPTER" not in text
    verified = run("verify", out)
    assert verified.code == 0, verified.stderr
    (out / "merged_model.gguf").write_bytes((out / "merged_model.gguf").read_bytes() + b"x")
    assert run("verify", out).code == 5


def test_a_store_with_an_installed_base(ada, tiny, models):
    """The template of the base comes along; the model is one file, which remove takes away again."""
    ran = run("build", ada, "ada", "--merge", "--base", tiny, "--via", "store", "--no-load", "--json")
    assert ran.code == 0, ran.stderr
    assert (ran.document["lora"], ran.document["proofs"][0]["proof"]) == (None, "merged")
    layers = layers_of(models, "ada")
    assert "adapter" not in layers
    assert layers["template"].read_text() == "{{ .Prompt }}!"
    assert read_gguf(layers["model"]).text("ollama_pack.merged_adapter")
    again = run("build", ada, "ada", "--merge", "--base", tiny, "--system", "Be brief.", "--via", "store")
    assert again.code == 0, again.stderr
    assert layers_of(models, "ada")["system"].read_text() == "Be brief."
    assert "ada" in run("versions", "ada").stdout
    assert run("rollback", "ada").code == 0
    assert "system" not in layers_of(models, "ada")
    assert run("remove", "ada", "--yes").code == 0
    assert run("remove", tiny, "--yes").code == 7


@pytest.mark.parametrize("via", ["folder", "store"])
def test_the_same_base_again_is_no_change(ada, tiny, tiny_gguf, tmp_path, via):
    """The second of two builds compares the base, and not the merged file; another base is told."""
    words = ("build", ada, "ada", "--merge", "--via", via, "--no-load", "--out", tmp_path / "out", "--json")
    for base in (tiny, tiny, tiny_gguf, tiny_gguf):
        ran = run(*words, "--base", base)
        assert ran.code == 0, ran.stderr
        assert ran.document["delivery"]["base"]["blob"] == sha256_of_file(tiny_gguf)
        assert "has changed since" not in ran.stderr + ran.stdout
    write_model(tmp_path / "other.gguf", keys=(("general.other", "yes"),))
    assert "has changed since" in run(*words, "--base", tmp_path / "other.gguf").stdout


def test_the_prompt_of_a_base_that_is_not_here(tmp_path):
    """Why prompts are not proved is said of the base, which has a name, and not of the file to be made."""
    ada, told = ADA, []
    for form in ((), ("--merge",)):
        ran = run("build", ada, *form, "--via", "folder", "--out", tmp_path / "o")
        told.append([line for line in ran.stderr.splitlines() if line.startswith("prompt ")])
    assert told[0]
    assert "smollm2:135m" in told[0][0]
    assert told[1] == told[0]


def test_the_base_is_protected(ada, tiny):
    """A merged model does not take the name of the base that it was made of."""
    ran = run("build", ada, "tiny", "--merge", "--base", tiny, "--via", "store")
    assert ran.code == 7
    assert "its own base" in ran.stderr


def test_an_installed_merged_model_is_verified(ada, tiny):
    """Verify takes the name of a merged model, too."""
    assert run("build", ada, "ada", "--merge", "--base", tiny, "--via", "store").code == 0
    assert run("verify", "ada").code == 0


@pytest.mark.parametrize("via", ["folder", "store"])
def test_a_dry_run_tells_the_size(ada, tiny_gguf, tmp_path, models, via):
    """It writes nothing, and what it says of the file is what the build then writes."""
    out = tmp_path / "out"
    words = ("build", ada, "--merge", "--base", tiny_gguf, "--via", via, "--out", out, "--no-load")
    before = sorted(models.rglob("*")) if models.exists() else []
    planned = run(*words, "--dry-run", "--json")
    assert planned.code == 0, planned.stderr
    assert not out.exists()
    assert (sorted(models.rglob("*")) if models.exists() else []) == before
    sizes = [each["bytes"] for each in planned.document["delivery"]["items"]]
    assert not any(each["what"].startswith("base ") for each in planned.document["delivery"]["items"])
    built = run(*words, "--json")
    assert built.code == 0, built.stderr
    assert (out / "merged_model.gguf").stat().st_size in sizes


def test_a_dry_run_refuses_what_the_build_refuses(ada, tiny_gguf, tmp_path):
    """Another file in the place of the merged one is found by both."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "merged_model.gguf").write_bytes(b"mine")
    words = ("build", ada, "--merge", "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "out")
    for more in ((), ("--dry-run",)):
        ran = run(*words, *more)
        assert (ran.code, (tmp_path / "out" / "merged_model.gguf").read_bytes()) == (7, b"mine"), ran.stderr


def test_a_part_of_the_base_that_a_modelfile_cannot_hold_is_told(ada, models, tiny_gguf, monkeypatch):
    """Messages of a tool have no place in a Modelfile, and a layer of another kind has none either."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    messages = [{"role": "user", "content": "Hello"}, {"role": "tool", "content": "42"}]
    scratch_store.add_base(models, tiny_gguf, tag="tiny", messages=messages)
    ran = run("build", ada, "ada", "--merge", "--base", "tiny", "--via", "store", "--no-load")
    assert ran.code == 0, ran.stderr
    assert "the merged model does not have messages of the role 'tool' of tiny" in ran.stderr
    assert json.loads(layers_of(models, "ada")["messages"].read_text()) == messages[:1]


def test_a_base_that_takes_no_adapter_takes_a_merged_one(ada, models, tmp_path, monkeypatch):
    """A base in a form of Ollama's own does not load with an adapter from 0.40 on: --merge is a way out."""
    own = resized(TINY, arch="mistral3")
    path = write_model(tmp_path / "own.gguf", own, keys=[("mistral3.rope.scaling_beta", "1")])
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(models, path, tag="own")
    words = ("build", ada, "ada", "--base", "own", "--via", "store", "--no-load")
    told = run(*words)
    assert told.code == 0, told.stderr
    assert ", or --merge" in told.stderr
    merged = run(*words, "--merge")
    assert merged.code == 0, merged.stderr
    assert "does not load" not in merged.stderr
    assert "adapter" not in layers_of(models, "ada")


FORMAT = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"


def test_the_chat_template_that_was_trained_goes_into_the_file(ada, tmp_path):
    """It replaces that of the base; without one of its own, an adapter leaves the base's there."""
    base = write_model(tmp_path / "base.gguf", keys=[("tokenizer.chat_template", "the base's")])
    words = ("build", ada, "--merge", "--base", base, "--via", "folder", "--out", tmp_path / "out")
    assert run(*words).code == 0
    header = read_gguf(tmp_path / "out" / "merged_model.gguf")
    assert header.text("tokenizer.chat_template") == "the base's"
    (ada / "chat_template.jinja").write_text(FORMAT)
    ran = run(*words)
    assert ran.code == 0, ran.stderr
    assert "--template" not in ran.stderr
    assert read_gguf(tmp_path / "out" / "merged_model.gguf").text("tokenizer.chat_template") == FORMAT


@pytest.mark.parametrize("via", ["folder", "store", "pull", "create"])
def test_every_delivery_tells_the_base_and_not_the_merged_file(ada, tiny, models, tiny_gguf, via):
    """Build and register say alike of which weights a merged model was made; without a lock nothing."""
    out = ada.parent / "out"
    with fake_daemon.running(models) as daemon, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_HOST", daemon.address)
        words = ("--via", "store" if via == "folder" else via, "--no-load", "--json")
        built = run(
            "build", ada, "ada", "--merge", "--base", tiny, "--out", out, "--via", via, *words[2:]
        ).document
        known = {"manifest": "", "blob": sha256_of_file(tiny_gguf)}
        assert built["delivery"]["base"] == known
        assert built["merged"]["digest"] not in str(built["delivery"]["base"])
        assert run("register", out, "again", *words).document["delivery"]["base"] == known
        (out / "ollama-pack.lock").unlink()
        assert run("register", out, "last", *words).document["delivery"]["base"] == dict.fromkeys(known, "")
