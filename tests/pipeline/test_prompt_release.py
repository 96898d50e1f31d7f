"""What ``register`` and ``verify`` say of prompts, and what they ask a daemon for."""

import json

import fake_daemon
import pytest
from recipes import write_adapter, write_model
from rendering_daemon import JINJA, V1, tell_prompts, trained
from terminal import run

BY_BOTH = f"by /api/chat and by {V1}"


def other(messages):
    """Return what no chat template here makes."""
    return trained(messages) + " "


@pytest.fixture
def home(tmp_path):
    """Return the directory of an adapter with a chat template, built into a folder."""
    home = write_adapter(tmp_path / "ada")
    (home / "chat_template.jinja").write_text(JINJA, "utf-8")
    base = write_model(tmp_path / "base.gguf", keys=[("tokenizer.chat_template", JINJA)])
    assert run("build", home, "--base", base, "--via", "folder").code == 0
    return home


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """Return a daemon, and what tells it how to render."""
    tells = tell_prompts(monkeypatch)
    with fake_daemon.running(tmp_path / "models") as daemon:
        monkeypatch.setenv("OLLAMA_HOST", daemon.address)
        monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
        daemon.tells = tells.append
        yield daemon


def proofs_of(document):
    """Return the proofs of a document by their names."""
    return {each["proof"]: each for each in document["proofs"]}


def test_register_asks_as_a_build_does(home, daemon):
    """The prompts are compared and asked for; the model has its name only if they are the trained ones."""
    daemon.tells(other)
    ran = run("register", home, "--via", "pull")
    assert (ran.code, daemon.models.has("ada")) == (5, False), ran.stderr
    assert "The daemon renders other prompts than were computed: the daemon renders 0 of 18" in ran.stderr
    assert run("register", home, "--via", "pull", "--no-load").code == 0
    daemon.tells(trained)
    ran = run("register", home, "--via", "pull")
    assert (ran.code, daemon.models.has("ada")) == (0, True), ran.stderr
    assert "prompt    18 of 18 conversations byte-equal" in ran.stderr
    assert f"the daemon renders 18 of 18 conversations as they were trained, {BY_BOTH}" in ran.stderr


def test_a_folder_alone(home, daemon, tmp_path):
    """Without a chat template beside it, what is computed is what a daemon must render."""
    base, release = tmp_path / "base.gguf", tmp_path / "release"
    assert run("build", home, "--base", base, "--via", "folder", "--out", release).code == 0
    daemon.tells(trained)
    ran = run("register", release, "--via", "pull")
    assert "prompt    not proved: no chat template lies beside these files" in ran.stderr
    assert f"the daemon renders 18 of 18 conversations as they were computed, {BY_BOTH}" in ran.stderr
    daemon.tells(other)
    assert run("register", release, "second", "--via", "pull").code == 5
    assert not daemon.models.has("second")


def test_verify_a_folder(home, daemon):
    """All proofs of a build are made again."""
    assert run("register", home, "--via", "pull").code == 0
    daemon.tells(trained)
    ran = run("verify", home, "--json")
    assert ran.code == 0, ran.stderr
    proofs = proofs_of(ran.document)
    assert list(proofs) == ["files", "modelfile", "numbers", "base", "prompt", "load", "rendered"]
    assert (proofs["prompt"]["figure"], proofs["rendered"]["figure"]) == (0.0, 0.0)
    daemon.tells(other)
    assert run("verify", home).code == 5
    daemon.tells("fails")
    ran = run("verify", home, "--json")
    assert (ran.code, ran.document["not_proved"][-1]["proof"]) == (0, "rendered"), ran.stderr


def test_verify_a_model(home, daemon):
    """An installed adapter tells no chat template, so a daemon must render what is computed."""
    assert run("register", home, "--via", "pull").code == 0
    daemon.tells(trained)
    ran = run("verify", "ada", "--json")
    assert ran.code == 0, ran.stderr
    assert "conversations as they were computed" in proofs_of(ran.document)["rendered"]["summary"]
    assert [each["proof"] for each in ran.document["not_proved"]] == ["prompt"]
    daemon.tells(other)
    ran = run("verify", "ada", "--json")
    assert (ran.code, ran.document["code"]) == (5, "prompt")
    assert run("verify", "ada", "--no-load").code == 0


def test_verify_a_merged_model(home, daemon, tmp_path):
    """A merged model has the trained chat template in its weights."""
    base = tmp_path / "base.gguf"
    assert run("build", home, "merged", "--merge", "--base", base, "--via", "pull").code == 0
    daemon.tells(trained)
    ran = run("verify", "merged", "--json")
    assert ran.code == 0, ran.stderr
    assert proofs_of(ran.document)["prompt"]["passed"]
    assert "as they were trained" in proofs_of(ran.document)["rendered"]["summary"]


def test_a_difference_is_told_and_strict_refuses_it(home, daemon):
    """A chat template that was changed after the build is no longer what Ollama sends."""
    (home / "chat_template.jinja").write_text(JINJA.replace("<s>", "<s> "), "utf-8")
    ran = run("verify", home, "--json")
    assert (ran.code, proofs_of(ran.document)["prompt"]["passed"]) == (0, False), ran.stderr
    for command in ("register", "verify"):
        assert "0 of 18 conversations byte-equal" in run(command, home).stderr
        ran = run(command, home, "--strict", "--json")
        assert (ran.code, ran.document["code"]) == (5, "prompt")
        assert json.dumps(ran.document["try"]) == '"without --strict, the difference is only reported"'


def test_a_renderer_of_ollama(home, daemon):
    """What a renderer of Ollama makes is asked of the daemon by register and verify; --strict decides."""
    folder = home / "ollama"
    (home / "Modelfile.txt").write_text("FROM base.gguf\nRENDERER olmo3\n", "utf-8")
    base = home.parent / "base.gguf"
    assert run("build", home, "--base", base, "--via", "folder").code == 0
    daemon.tells(trained)
    ran = run("register", folder, "--via", "pull", "--strict")
    assert ran.code == 0, ran.stderr
    assert "Ollama's own renderer olmo3 makes it; ollama-pack prompt MODEL --against daemon" in ran.stderr
    verified = run("verify", folder, "--strict", "--json").document
    assert proofs_of(verified)["rendered"]["passed"]
    daemon.tells(other)
    assert run("verify", folder, "--json").document["kind"] == "verify"
    for call in (("register", folder, "second", "--via", "pull"), ("verify", folder)):
        ran = run(*call, "--strict", "--json")
        assert (ran.code, ran.document["code"]) == (5, "prompt"), call
    assert not daemon.models.has("second")
