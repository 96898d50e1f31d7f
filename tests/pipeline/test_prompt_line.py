"""The prompts of a build: compared before anything is written, told, and with --strict decisive."""

import pytest
from recipes import write_adapter, write_model
from terminal import run

from ollama_pack.errors import UnsupportedError
from ollama_pack.pipeline.prompt import NONE_TRAINED, _adds_bos

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
        (home / "Modelfile.txt").write_text(f'FROM x\nTEMPLATE """{template}"""\n', "utf-8")
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
    guessed = build(JINJA, "", "--via", "create", "--dry-run")
    assert "byte-equal" not in guessed.stderr


def test_begin_of_text_of_a_file_that_does_not_say():
    """SentencePiece adds it, what is unknown is refused."""
    assert _adds_bos({"tokenizer.ggml.model": "llama"})
    assert not _adds_bos({"tokenizer.ggml.model": "llama", "tokenizer.ggml.add_bos_token": False})
    with pytest.raises(UnsupportedError, match="begin of text"):
        _adds_bos({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe"})
