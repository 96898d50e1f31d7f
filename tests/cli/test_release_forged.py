"""A release whose maker lies in the record, every paper and the sums alike: what files tell is found."""

import hashlib
import json

import pytest
from recipes import write_model
from terminal import add_base, run
from test_release_lies import sums_again

from ollama_pack.pipeline.release.papers.record import document_text, documents_of

CHAT = [("tokenizer.chat_template", "{% for m in messages %}<{{ m.role }}>{{ m.content }} {% endfor %}")]


def retold(folder, change):
    """Change the record of a release, and make all that is made of it anew."""
    record = json.loads((folder / "release.json").read_text())
    change(record)
    text = document_text(record)
    (folder / "release.json").write_bytes(text)
    for name, content in documents_of(record, hashlib.sha256(text).hexdigest()).items():
        (folder / name).write_bytes(content)
    sums_again(folder)


FORGED = {
    "a size": (lambda record: record["files"][0].update(bytes=1), "the size of adapter_model.gguf"),
    "the form": (lambda record: record.update(form="merged"), "the form of the model"),
    "the option": (lambda record: record["options"].update(merge=True), "the form of the model"),
    "what is kept": (lambda record: record.update(kept={"gain": 1.0}), "what is kept of the adapter"),
    "the kind": (lambda record: record.update(kind="lock"), "its own kind"),
    "the version": (lambda record: record.update(schema_version=2), "its own kind"),
    "the base": (lambda record: record["base"].update(source_id="meta/other"), "source_id of the base"),
    "a digest": (lambda record: record["files"][1].update(sha256="0" * 64), "the files"),
    "a base's terms": (
        lambda record: record["licenses"].update(base="llama2", conflict=""),
        "does not say that its licences do not go together",
    ),
}


@pytest.mark.parametrize(("change", "what"), FORGED.values(), ids=FORGED)
def test_a_record_that_lies(dist, change, what):
    """Every paper agrees with the record, which does not agree with the files."""
    retold(dist, lambda _record: None)
    assert run("verify", dist).code == 0
    retold(dist, change)
    ran = run("verify", dist)
    assert (ran.code, what in " ".join(ran.stderr.split())) == (5, True), ran.stderr


@pytest.mark.parametrize("proof", ["numbers", "base"])
def test_a_proof_that_did_not_hold(dist, proof):
    """A record may not have one, but for prompts that were accepted."""
    retold(
        dist,
        lambda record: [each.update(passed=False) for each in record["proofs"] if each["proof"] == proof],
    )
    ran = run("verify", dist)
    assert (ran.code, "release.json is wrong about the proofs" in ran.stderr) == (5, True)


@pytest.mark.parametrize("form", [(), ("--merge",)], ids=["adapter", "merged"])
def test_prompts_that_differ(ada, tmp_path, models, form):
    """Prompts that --strict would refuse are a warning in every paper, and the release verifies."""
    base = write_model(tmp_path / "base.gguf", keys=CHAT)
    add_base(models, base, "tiny", "latest")
    (ada / "chat_template.jinja").write_text(CHAT[0][1])
    (tmp_path / "mine.Modelfile").write_text('TEMPLATE """{{ .System }} | {{ .Prompt }}"""\n')
    out = tmp_path / "dist"
    words = ("release", ada, "ada:1", "--template", tmp_path / "mine.Modelfile", "--out", out, *form)
    base_option = ("--base", base if form else "tiny")
    ran = run(*words, *base_option)
    assert ran.code == 0, ran.stderr
    proofs = {
        each["proof"]: each["passed"] for each in json.loads((out / "release.json").read_text())["proofs"]
    }
    assert proofs["prompt"] is False
    told = json.loads((out / "test-result.intoto.json").read_text())["predicate"]
    assert (told["result"], told["failedTests"], told["warnedTests"][0]) == ("WARNED", [], "prompt")
    verified = run("verify", out)
    assert verified.code == 0, verified.stderr
    assert run("register", out, "--via", "store").code == 0
    assert run(*words, *base_option, "--strict").code == 5


def test_a_merged_record_that_lies(ada, tmp_path):
    """A merged model is no adapter."""
    base, out = write_model(tmp_path / "base.gguf"), tmp_path / "dist"
    assert run("release", ada, "ada:1", "--base", base, "--merge", "--no-report", "--out", out).code == 0
    for change in ({"form": "adapter"}, {"kept": None}):
        before = json.loads((out / "release.json").read_text())
        retold(out, lambda record, change=change: record.update(change))
        assert run("verify", out).code == 5
        retold(out, lambda record, before=before: record.update(before))
        assert run("verify", out).code == 0


CARDS = {
    "another base": ('base_model: "tests/tiny"', 'base_model: "meta/other"', "the base"),
    "no relation": ('base_model_relation: "adapter"\n', "", "the base"),
    "another library": ('"gguf"', '"transformers"', "what the files are"),
    "another licence": ("tags:\n", 'license: "mit"\ntags:\n', "the licence"),
    "no front": ("---\n", "", "README.md is no model card"),
    "no text": ('"gguf"', '"\\x"', "README.md is no model card"),
}


@pytest.mark.parametrize(("old", "new", "what"), CARDS.values(), ids=CARDS)
def test_a_card_of_another_version(dist, old, new, what):
    """What another version of ollama-pack made may look otherwise, and may not say another thing."""
    retold(dist, lambda record: record.update(ollama_pack="9.9.9"))
    card = dist / "README.md"
    card.write_text(card.read_text() + "\nWritten in another way.\n")
    sums_again(dist)
    assert run("verify", dist).code == 0
    card.write_text(card.read_text().replace(old, new, 1))
    sums_again(dist)
    ran = run("verify", dist)
    assert (ran.code, what in ran.stderr) == (5, True), ran.stderr
    assert "Traceback" not in ran.stderr
