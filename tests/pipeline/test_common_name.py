"""Names of directories that everybody has: they do not replace a model of another directory unasked."""

import pytest
from recipes import write_adapter
from terminal import digest_in, run

from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.common_name import is_common


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """Keep every build away from the user's Ollama, and return the store."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "models"


@pytest.mark.parametrize(
    "name", ["lora_model", "output", "adapter", "checkpoint-60", "0a" * 20, "outputs:checkpoint-3"]
)
def test_common(name):
    """What notebooks and trainers call their directories, and what a cache calls them."""
    assert is_common(parse_name(name))


@pytest.mark.parametrize("name", ["ada", "ada-lovelace:checkpoint-3", "my-output", "0a" * 19])
def test_not_common(name):
    """A name that says what was trained is none."""
    assert not is_common(parse_name(name))


@pytest.mark.parametrize("directory", ["lora_model", "outputs/checkpoint-60"])
def test_another_directory(tmp_path, tiny_gguf, models, directory):
    """The first takes the name, may be built again, and is not replaced by another one of that name."""
    one, two = (write_adapter(tmp_path / place / directory, seed=number) for number, place in enumerate("ab"))
    words = ("--base", tiny_gguf, "--via", "store", "--store", models)
    name = run("build", one, *words).stdout.strip()
    model, _, tag = name.partition(":")
    before = digest_in(models, model, tag or "latest")
    assert run("build", one, *words, "--parameter", "top_k=3").code == 0
    mine = digest_in(models, model, tag or "latest")
    assert mine != before
    for more in ((), ("--dry-run",)):
        refused = run("build", two, *words, *more)
        assert (refused.code, refused.stdout) == (7, "")
        assert f"--name {name}  replaces the other one" in refused.stderr
    assert digest_in(models, model, tag or "latest") == mine
    assert run("build", two, *words, "--name", name).code == 0
    assert digest_in(models, model, tag or "latest") != mine
    assert run("build", two, *words).code == 0


def test_a_store_beside_a_daemon_that_is_down(tmp_path, tiny_gguf, models, monkeypatch):
    """The store is asked where the model goes into a store, also if OLLAMA_HOST names somebody."""
    monkeypatch.setenv("OLLAMA_MODELS", str(models))
    one, two = (write_adapter(tmp_path / place / "lora_model", seed=n) for n, place in enumerate("ab"))
    assert run("build", one, "--base", tiny_gguf, "--via", "store").code == 0
    assert run("build", two, "--base", tiny_gguf, "--via", "store").code == 7


def test_a_name_that_says_something(tmp_path, tiny_gguf, models):
    """Another directory of the same name replaces the model, which is kept as a version."""
    for place in "ab":
        home = write_adapter(tmp_path / place / "ada-lora")
        assert run("build", home, "--base", tiny_gguf, "--via", "store", "--store", models).code == 0
