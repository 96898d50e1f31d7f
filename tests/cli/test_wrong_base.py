"""A base that is not the one an adapter was trained on: the same verdict from every command."""

import json

import fake_web
import numpy as np
import pytest
from gguf import GGUFWriter
from terminal import NOBODY, add_base, run

from ollama_pack.gguf.model_info import read_model_info


@pytest.fixture
def tokenizer(ada, tiny_gguf):
    """Return what saves a tokenizer beside the adapter: the own one of the base, but for what is changed."""
    seen = read_model_info(tiny_gguf).vocabulary

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
    assert "--base with the model that the adapter was trained on" in said
    assert not (ada / "ollama" / "adapter_model.gguf").exists()


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


def test_a_folder_that_was_built_before(ada, tiny_gguf, models, tokenizer, tmp_path):
    """`register` proves as `build` does, with the tokenizer in the folder, and takes the same options."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder").code == 0
    tokenizer(eos=5)
    where = ("register", ada, "ada", "--store", models, "--via", "store")
    ran = run(*where, "--strict")
    assert (ran.code, models.exists()) == (5, False)
    assert "eos: the adapter was trained with '▁c' (5) as eos" in ran.stderr
    assert run(*where, "--strict", "--base-mismatch-ok", "eos").code == 0


def test_a_folder_for_another_base(smol, models, tmp_path):
    """The id of the base is in the GGUF LoRA, and what the catalog knows of it is compared."""
    run("build", smol, "--via", "folder", "--out", tmp_path / "release")
    writer = GGUFWriter(tmp_path / "other.gguf", "llama")
    writer.add_block_count(24)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((576, 576), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    add_base(models, tmp_path / "other.gguf", "smollm2", "135m")
    ran = run("register", tmp_path / "release", "ada", "--via", "store")
    assert ran.code == 5
    assert "blocks: the adapter was trained with 30 blocks, and the base has 24" in ran.stderr


def test_a_base_that_only_the_web_knows(ada, models, tiny_gguf):
    """FROM an Ollama model that is not here yet: its registry tells its numbers, where it may be asked."""
    with fake_web.running() as web:
        web.model("me/tiny", tiny_gguf.read_bytes())
        name = f"{web.host}/me/tiny"
        refused = run("build", ada, "ada", "--base", name, "--via", "folder", "--json")
        assert (refused.code, web.asked) == (2, [])
        ran = run("build", ada, "ada", "--base", name, "--via", "folder", "--online", "-v")
        assert ran.code == 0
        assert f"header of {name}:latest at {web.host}" in ran.stderr
        assert web.asked
    assert f"FROM {name}:latest" in (ada / "ollama" / "Modelfile.txt").read_text()


def test_a_web_that_is_not_there(ada, monkeypatch):
    """Exit code 6 and the address; without --online the same base is unknown (2)."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://{NOBODY}")
    ran = run("convert", ada, "--base", "me/nowhere", "--online")
    assert ran.code == 6
    assert f"http://{NOBODY}/me/nowhere/resolve/main/config.json" in ran.stderr
