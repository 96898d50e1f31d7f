"""``build --load`` where no daemon runs: llama.cpp makes the load proof, before anything is registered."""

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
    assert (ran.code, "llama.cpp reads them" in ran.stderr) == (2, True)
