"""The daemon's own word on the prompts of a new model, before the model takes its name."""

import fake_daemon
import pytest
from recipes import write_adapter, write_model
from rendering_daemon import JINJA, V1, tell_prompts, trained
from terminal import run


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Return a function that builds into a daemon that renders as it is told, and that daemon."""
    home = write_adapter(tmp_path / "ada")
    (home / "chat_template.jinja").write_text(JINJA, "utf-8")
    base = write_model(tmp_path / "base.gguf", keys=[("tokenizer.chat_template", JINJA)])
    tells = tell_prompts(monkeypatch)
    with fake_daemon.running(tmp_path / "models") as daemon:
        monkeypatch.setenv("OLLAMA_HOST", daemon.address)
        monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))

        def run_build(renders, *more):
            tells.append(renders)
            return run("build", home, "--base", base, "--via", "pull", *more)

        run_build.daemon, run_build.home = daemon, home
        yield run_build


def test_what_the_daemon_renders_is_proved(build):
    """A daemon that renders the trained prompts proves them, in the line and in the document."""
    ran = build(trained, "--json")
    assert ran.code == 0, ran.stderr
    proofs = {each["proof"]: each for each in ran.document["proofs"]}
    assert (proofs["rendered"]["passed"], proofs["rendered"]["figure"]) == (True, 0.0)
    said = "the daemon renders 18 of 18 conversations as they were trained, by /api/chat and by " + V1
    assert said in build(trained).stderr


@pytest.mark.parametrize(
    "other",
    [
        lambda messages: trained(messages) + " ",
        lambda messages: trained(messages).replace("Lovelace", "Byron"),
        lambda messages: "<s>" + trained(messages),
        {"/api/chat": trained, V1: lambda messages: trained(messages) + " "},
    ],
)
def test_another_prompt_keeps_the_model_from_its_name(build, other):
    """One byte in one conversation is enough, and what the hint says goes around the proof."""
    ran = build(other, "--json")
    assert (ran.code, ran.document["code"]) == (5, "prompt")
    assert not build.daemon.models.has("ada")
    assert "--no-load" in ran.document["try"]
    assert build(other, "--no-load").code == 0


def test_a_chat_template_that_is_damaged(build):
    """Nothing can be compared with it, so the daemon is not asked, and the model is built."""
    (build.home / "chat_template.jinja").write_text("{% if", "utf-8")
    ran = build(trained, "--prompt", "inherit")
    assert (ran.code, "not proved" in ran.stderr, "rendered" in ran.stderr) == (0, True, False), ran.stderr


def test_a_daemon_that_does_not_say(build):
    """An older daemon answers the first question instead, and is asked no other."""
    ran = build(None)
    assert (ran.code, "rendered" in ran.stderr) == (0, False)
    assert len(build.daemon.asked("POST", "/api/chat")) == 1
    assert not build.daemon.asked("POST", V1)


def test_a_daemon_that_says_it_by_one_interface(build):
    """What it does not say is not claimed."""
    ran = build({"/api/chat": trained, V1: None})
    assert ran.code == 0, ran.stderr
    assert "18 of 18 conversations as they were trained, by /api/chat\n" in ran.stderr
    assert len(build.daemon.asked("POST", V1)) == 1


def test_a_daemon_that_fails_is_told(build):
    """The model is registered, because no prompt was seen that differs; why none was seen is said."""
    ran = build({"/api/chat": trained, V1: "fails"})
    assert (ran.code, "no room for the model" in ran.stderr) == (0, True), ran.stderr


def test_a_renderer_is_proved_by_the_daemon(build):
    """What Ollama's own renderer makes is not computed, so the word of the daemon decides."""
    (build.home / "Modelfile.txt").write_text("FROM base.gguf\nRENDERER olmo3\n", "utf-8")
    ran = build(trained, "--strict")
    assert ran.code == 0, ran.stderr
    assert "not proved: the prompt is not computed: Ollama's own renderer olmo3 makes it" in ran.stderr
    assert "ollama-pack prompt MODEL --against daemon" in ran.stderr
    assert "the daemon renders 18 of 18 conversations as they were trained" in ran.stderr


def test_a_renderer_that_differs(build):
    """A difference that only the daemon tells is told, and with --strict the model gets no name."""
    (build.home / "Modelfile.txt").write_text("FROM base.gguf\nRENDERER olmo3\n", "utf-8")

    def other(messages):
        return trained(messages).replace("Lovelace", "Byron")

    ran = build(other, "--strict", "--json")
    assert (ran.code, ran.document["code"], build.daemon.models.has("ada")) == (5, "prompt", False)
    assert ran.document["try"] == "without --strict, the difference is only reported"
    ran = build(other)
    assert ran.code == 0, ran.stderr
    assert "17 of 18 conversations as they were trained" in ran.stderr
    assert "the first that differs: one turn, by /api/chat" in ran.stderr
