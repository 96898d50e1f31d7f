"""A base that is not the one an adapter was trained on: the same verdict from every command."""

import json

import pytest
from terminal import run

from ollama_pack.bases.seen import see_file


@pytest.fixture
def tokenizer(ada, tiny_gguf):
    """Return what saves a tokenizer beside the adapter: the own one of the base, but for what is changed."""
    seen = see_file(tiny_gguf).vocabulary

    def save(renamed: str = "", eos: int = 2) -> None:
        vocabulary = {f"{token}{renamed}": number for number, token in seen.tokens.items()}
        document = {"model": {"type": "BPE", "vocab": vocabulary}, "added_tokens": []}
        (ada / "tokenizer.json").write_text(json.dumps(document))
        (ada / "tokenizer_config.json").write_text(json.dumps({"eos_token": list(vocabulary)[eos]}))

    return save


@pytest.mark.parametrize("command", ["build", "inspect", "dry run"])
def test_other_tokens(command, ada, tiny_gguf, models, tokenizer):
    """Exit code 5, the code, what was trained and what is there; nothing is written."""
    tokenizer(renamed="!")
    words = ["build", "--dry-run"] if command == "dry run" else [command]
    ran = run(*words, ada, "--base", tiny_gguf, "--store", models, *(["ada"] if command != "inspect" else []))
    assert ran.code == 5
    said = ran.stderr + ran.stdout
    assert "tokens: the adapter was trained with the tokens '<unk>!' (0)" in said
    assert "--base with the model it was trained on" in said
    assert not (ada / "adapter_model.gguf").exists()


def test_another_end(ada, tiny_gguf, models, tokenizer):
    """A warning is told with its code; --strict refuses; the code takes it, and an unknown code is usage."""
    tokenizer(eos=5)
    where = ("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--store", models)
    assert "--base-mismatch-ok eos" in run(*where).stderr
    ran = run(*where, "--strict")
    assert (ran.code, ran.stdout) == (5, "")
    assert "eos: the adapter was trained with '▁c' (5) as eos, and the base has '</s>' (2)" in ran.stderr
    assert run(*where, "--strict", "--base-mismatch-ok", "eos").code == 0
    assert run(*where, "--base-mismatch-ok", "everything").code == 2


@pytest.mark.parametrize("command", ["convert", "modelfile", "inspect"])
def test_every_command_that_proves_takes_the_code(command, ada, tiny_gguf, tokenizer):
    """Where a base is refused, the option that takes it is there too."""
    tokenizer(renamed="!")
    refused = run(command, ada, "--base", tiny_gguf)
    assert refused.code == 5
    assert run(command, ada, "--base", tiny_gguf, "--base-mismatch-ok", "tokens").code == 0


def test_agreement(ada, tiny_gguf, models, tokenizer):
    """What agrees is told, with how many tokens were compared."""
    tokenizer()
    ran = run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--store", models)
    assert ran.code == 0
    assert "agrees in every tensor and shape, 50 tokens, eos" in ran.stderr


def test_a_damaged_tokenizer_is_told(ada, tiny_gguf, models):
    """It is not compared, and the build goes on: nothing else needs it."""
    (ada / "tokenizer.json").write_text("{")
    ran = run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--store", models)
    assert ran.code == 0
    assert "the tokenizer is not compared with the base's" in ran.stderr
