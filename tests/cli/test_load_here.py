"""``--load`` where no daemon runs: llama.cpp makes the load proof, before anything is registered."""

import pytest
from terminal import run

pytestmark = pytest.mark.usefixtures("stand_in_llama")


def test_the_proof_is_made_here(ada, tiny_gguf, models):
    """The line is that of a daemon; without --load nothing is loaded, as before."""
    ran = run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--load", "--json")
    assert ran.code == 0, ran.stderr
    (load,) = [each for each in ran.document["proofs"] if each["proof"] == "load"]
    assert load["summary"] == "ada:latest loads, and answers differently from tiny.gguf for 3 of 3 prompts"
    again = run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--json")
    assert "load" not in [each["proof"] for each in again.document["proofs"]]


def test_a_merged_model_is_loaded_too(ada, tiny_gguf, tmp_path):
    """The merged file is a model of its own; the stand-in answers by its base's rule, so nothing differs."""
    call = ("build", ada, "ada", "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "out", "--merge")
    ran = run(*call, "--load")
    assert (ran.code, "so the adapter has no effect" in ran.stderr) == (5, True)
    assert run(*call, "--load", "--allow-noop").code == 0


def test_what_llama_refuses_is_not_registered(ada, tiny_gguf, models, monkeypatch):
    """The proof comes before the registration; without --load, as the hint says, only a daemon is asked."""
    monkeypatch.setenv("STAND_IN_REFUSES", "1")
    ran = run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--load")
    assert (ran.code, "llama.cpp cannot load ada" in ran.stderr) == (5, True)
    assert "try: without --load, only a daemon is asked" in ran.stderr
    assert not (models / "manifests").exists()
    assert run("build", ada, "ada", "--base", tiny_gguf, "--via", "store").code == 0


def test_a_base_that_is_only_known_by_name(smol):
    """Without the weights of the base nothing can be loaded, and the option said that it must be."""
    ran = run("build", smol, "--via", "folder", "--load")
    assert (ran.code, "llama.cpp needs them" in ran.stderr) == (2, True)


LOADS = "loads, and answers differently from"


@pytest.fixture
def folder(ada, tiny_gguf, tmp_path):
    """Return the folder of a build on a GGUF base."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "out").code == 0
    return tmp_path / "out"


def test_verify_loads_a_folder(folder):
    """Of verify --load: it is what build --load says; without the option nothing is loaded, as before."""
    ran = run("verify", folder, "--load", "--json")
    (load,) = [each for each in ran.document["proofs"] if each["proof"] == "load"]
    assert (ran.code, load["summary"]) == (0, f"out:latest {LOADS} tiny.gguf for 3 of 3 prompts")
    assert "unproved  load: no Ollama daemon answers" in run("verify", folder).stderr
    assert "unproved  load: left out by --no-load" in run("verify", folder, "--no-load").stderr


def test_verify_loads_an_installed_model(ada, tiny_tag, models):
    """The blobs of a store are loaded, the base being a layer of the model."""
    assert run("build", ada, "ada", "--base", tiny_tag, "--via", "store").code == 0
    ran = run("verify", "ada", "--load")
    assert (ran.code, f"load: ada:latest {LOADS} its base for 3 of 3 prompts" in ran.stderr) == (0, True)


def test_verify_loads_what_was_merged(ada, tiny_gguf, tmp_path):
    """A merged model whose base is not at hand loads, and nothing is compared."""
    call = ("build", ada, "ada", "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "out", "--merge")
    assert run(*call).code == 0
    ran = run("verify", tmp_path / "out", "--load")
    assert (ran.code, "loads and answers; its base cannot be asked" in ran.stderr) == (0, True)


def test_register_loads_first(folder, models, monkeypatch):
    """The proof comes before anything is registered; without --load, as the hint says, it does not."""
    ran = run("register", folder, "ada", "--via", "store", "--load")
    assert (ran.code, f"ada:latest {LOADS} tiny.gguf" in ran.stderr) == (0, True)
    monkeypatch.setenv("STAND_IN_REFUSES", "1")
    refused = run("register", folder, "other", "--via", "store", "--load")
    assert (refused.code, "try: without --load, only a daemon is asked" in refused.stderr) == (5, True)
    assert not list(models.glob("manifests/**/other"))
    assert run("register", folder, "other", "--via", "store").code == 0


def test_verify_says_what_fails(folder, tmp_path, monkeypatch):
    """A model that llama.cpp refuses fails the verification; where there is no llama.cpp, that is told."""
    monkeypatch.setenv("STAND_IN_REFUSES", "1")
    ran = run("verify", folder, "--load")
    assert (ran.code, "llama.cpp cannot load out" in ran.stderr) == (5, True)
    for name in ("xllamacpp", "llama_cpp"):
        (tmp_path / f"{name}.py").write_text("raise ModuleNotFoundError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told = run("verify", folder, "--load")
    assert (told.code, "unproved  load: llama.cpp is not installed" in told.stderr) == (0, True)


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_setting_asks_for_it_everywhere(folder, alone, models, place, monkeypatch):
    """``load = true`` asks for the proof as --load does, wherever a command makes it."""
    if place == "file":
        (alone / "ollama-pack.toml").write_text("[options]\nload = true\n")
    else:
        monkeypatch.setenv("OLLAMA_PACK_LOAD", "true")
    for words in (("verify", folder), ("register", folder, "ada", "--via", "store"), ("verify", "ada")):
        ran = run(*words)
        assert (ran.code, LOADS in ran.stderr) == (0, True), (words, ran.stderr)
    assert LOADS not in run("verify", folder, "--no-load").stderr


def test_pull_loads_what_it_registers(ada, tiny_tag, registry, models):
    """Of pull --load: llama.cpp loads the model where no daemon answers, as for register --load."""
    pytest.importorskip("oras", reason="the extra `oci` is not installed")
    built = models.parent / "built"
    assert run("build", ada, "ada", "--base", tiny_tag, "--via", "folder", "--out", built).code == 0
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", built, place).code == 0
    ran = run("pull", place, "--via", "store", "--load")
    assert (ran.code, LOADS in ran.stderr) == (0, True), ran.stderr
    assert LOADS not in run("pull", place, "other", "--via", "store").stderr
