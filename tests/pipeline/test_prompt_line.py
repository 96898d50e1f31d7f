"""The prompts of a build: compared before anything is written, told, and with --strict decisive."""

import pytest
import scratch_store
from recipes import write_adapter, write_model
from scratch_store import BASE_TAG
from terminal import run

from ollama_pack.pipeline.prompt.verdict import NONE_TRAINED

GO = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>"
JINJA = "<s>{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
FIGURE = "18 of 18 conversations byte-equal"


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Return a function that builds an adapter with a chat template on a base that adds <s>."""
    for name, value in {"OLLAMA_HOST": "127.0.0.1:9", "OLLAMA_MODELS": tmp_path / "models"}.items():
        monkeypatch.setenv(name, str(value))
    home = write_adapter(tmp_path / "ada")
    base = write_model(tmp_path / "base.gguf")

    def run_build(jinja, template, *more):
        if jinja:
            (home / "chat_template.jinja").write_text(jinja, "utf-8")
        own = f'TEMPLATE """{template}"""\n' if template else ""
        (home / "Modelfile.txt").write_text(f"FROM x\n{own}", "utf-8")
        return run("build", home, "--base", base, "--via", "store", *more)

    run_build.output = home / "ollama"
    return run_build


def test_equal_prompts_are_told(build):
    """The figure stands in the line, and in the JSON document."""
    assert FIGURE in build(JINJA, GO, "--dry-run").stderr
    document = build(JINJA, GO, "--json").document
    assert [each["passed"] for each in document["proofs"] if each["proof"] == "prompt"] == [True]
    assert document["not_proved"] == []


def test_a_difference_is_shown_and_strict_stops(build):
    """One other byte is shown with a caret; with --strict nothing is written."""
    other = GO.replace("<assistant>", "<assistant> ")
    strict = build(JINJA, other, "--strict", "--json")
    assert (strict.code, strict.document["code"]) == (5, "prompt")
    assert not (build.output / "adapter_model.gguf").exists()
    ran = build(JINJA, other)
    assert (ran.code, "0 of 18 conversations" in ran.stderr, "^" in ran.stderr) == (0, True, True)
    assert "<assistant> '" in ran.stderr


def test_what_is_not_compared_is_not_called_equal(build):
    """Without a chat template, or with one that is damaged, the line says why, and so does the document."""
    assert NONE_TRAINED in build("", GO, "--dry-run").stderr
    damaged = build("{% if %}", GO, "--json").document
    assert "chat template" in damaged["not_proved"][0]["why"]


def test_a_base_in_a_store_and_its_system(build, tmp_path, monkeypatch):
    """The TEMPLATE that an installed base has counts, and a SYSTEM is put in front of each conversation."""
    monkeypatch.setattr(scratch_store, "details_of", lambda _: {})
    scratch_store.add_base(tmp_path / "models", write_model(tmp_path / "tiny.gguf"), template=GO)
    plain = build(JINJA, "", "--base", BASE_TAG)
    assert (plain.code, FIGURE in plain.stderr) == (0, True), plain.stderr
    with_system = build(JINJA, "", "--base", BASE_TAG, "--system", "Be kind.")
    assert FIGURE in with_system.stderr
    says_its_own = "{% if messages[0].role != 'system' %}<none>{% endif %}" + JINJA.removeprefix("<s>")
    differs = build("<s>" + says_its_own, "", "--base", BASE_TAG, "--prompt", "inherit")
    assert FIGURE not in differs.stderr
    assert "one turn:" in differs.stderr
    system = ("--system", "Be kind.", "--prompt", "inherit")
    assert FIGURE in build("<s>" + says_its_own, "", "--base", BASE_TAG, *system).stderr
