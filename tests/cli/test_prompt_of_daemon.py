"""The prompts of a model in a store that cannot be read here, and the word of the daemon that has it."""

import json

import fake_daemon
import pytest
from hidden_store import hide_store
from recipes import write_model
from rendering_daemon import JINJA, tell_prompts, trained
from scratch_store import add_base, add_blob
from terminal import run

CHAT = [("tokenizer.chat_template", JINJA)]
GO = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>"


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """Return a daemon that says that its store is where nothing is, as a container does."""
    base = write_model(tmp_path / "chat.gguf", keys=CHAT)
    monkeypatch.setattr("scratch_store.details_of", lambda _: {})
    store = tmp_path / "closed"
    add_base(store, base, tag="native", template="")
    add_base(store, base, tag="own", template="{{ .System }}{{ .Prompt }}")
    before = [{"role": "user", "content": "Before."}, {"role": "assistant", "content": "Yes."}]
    add_base(store, base, tag="talks", template=GO, messages=before)
    hide_store(monkeypatch, store)
    with fake_daemon.running(store) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.address)
        yield running


@pytest.fixture
def renders(daemon, monkeypatch):
    """Return the list whose last item says what the daemon renders."""
    tells = tell_prompts(monkeypatch)
    tells.append(without_bos)
    return tells


def without_bos(messages):
    """Return the trained prompt as a TEMPLATE writes it, since the tokenizer adds the first token."""
    return trained(messages).removeprefix("<s>")


def test_the_chat_template_in_force(daemon):
    """A model without a TEMPLATE is shown with the chat template of its GGUF, and nothing more is asked."""
    found = run("prompt", "native", "--json").document
    assert (found["trained"], found["sender"]) == ("native:latest", "jinja")
    assert found["proofs"][0]["passed"]
    assert not daemon.asked("POST", "/api/push")


def test_a_template_in_force(daemon):
    """The chat template that a TEMPLATE hides is asked of the weights alone, and no model is left behind."""
    before = sorted(daemon.models.names())
    for name, passed in (("own", False), ("talks", True)):
        found = run("prompt", name, "--json").document
        assert (found["sender"], found["proofs"][0]["passed"]) == ("go", passed), name
    first = found["conversations"][0]
    assert first["trained"].startswith("<s><user>Before.<assistant>Yes.<user>Who was Ada"), first
    assert sorted(daemon.models.names()) == before


def test_another_model_of_that_name(daemon, models, tmp_path):
    """A store here that has another model of the same name is not looked at: the daemon has been named."""
    add_base(models, write_model(tmp_path / "b.gguf", keys=[("tokenizer.chat_template", "x")]), tag="native")
    assert run("prompt", "native", "--json").document["conversations"][0]["trained"].startswith("<s>")
    of_store = run("prompt", "native", "--store", models, "--json").document
    assert of_store["conversations"][0]["trained"] == "x"


def test_the_word_of_the_daemon(daemon, renders):
    """--against daemon shows what the daemon renders, whatever was computed."""
    found = run("prompt", "own", "--against", "daemon", "--json").document
    assert found["proofs"][0]["passed"]
    assert not daemon.loaded
    said = run("prompt", "own", "--against", "daemon").stdout
    assert f"; {daemon.address} was asked" in said
    renders.append(lambda messages: without_bos(messages).replace("Lovelace", "Byron"))
    found = run("prompt", "own", "--against", "daemon", "--json").document
    assert (found["proofs"][0]["passed"], found["proofs"][0]["worst"]) == (False, "one turn")


def test_the_daemon_puts_its_messages_in_front(daemon, renders, tmp_path):
    """What a user sends is sent as it is, with its tools: the daemon adds the SYSTEM and the MESSAGEs."""
    talk = tmp_path / "talk.json"
    tools = [{"type": "function", "function": {"name": "f"}}]
    talk.write_text(json.dumps({"messages": [{"role": "user", "content": "Ada?"}], "tools": tools}))
    run("prompt", "talks", "--against", "daemon", "--messages", talk)
    asked = daemon.asked("POST", "/api/chat")[-1]
    assert ([each["content"] for each in asked["messages"]], asked["tools"]) == (["Ada?"], tools)


def test_a_renderer_of_ollama(daemon, renders):
    """Ollama's own renderer is not computed; the hint asks the daemon, whose word is compared."""
    path = daemon.manifest("own")
    document = json.loads(path.read_text())
    config = json.loads(daemon.models.blob(document["config"]["digest"]).read_text())
    document["config"] |= add_blob(daemon.store, json.dumps({**config, "renderer": "qwen3.5"}).encode())
    path.write_text(json.dumps(document))
    ran = run("prompt", "own", "--json")
    assert (ran.code, ran.document["code"]) == (4, "own-renderer")
    assert "renderer qwen3.5" in ran.document["what"]
    assert ran.document["try"].startswith("ollama-pack prompt MODEL --against daemon")
    found = run("prompt", "own", "--against", "daemon", "--json").document
    assert (found["sender"], found["proofs"][0]["passed"]) == ("renderer", True)


def test_a_conversation_that_the_daemon_refuses(daemon, renders, monkeypatch):
    """A conversation that the daemon does not take is told as that; without a daemon the command fails."""
    renders.append("fails")
    ran = run("prompt", "own", "--against", "daemon", "-v")
    assert "one turn: Ollama does not take it" in ran.stdout
    renders.append(None)
    ran = run("prompt", "own", "--against", "daemon", "--json")
    assert (ran.code, "too old" in ran.document["what"]) == (4, True)
    assert run("prompt", "own").code == 0
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert run("prompt", "own", "--against", "daemon").code == 6


def test_a_daemon_that_cannot_come_here(daemon):
    """One in a container cannot tell what its TEMPLATE hides, and the hint says where to run the command."""
    daemon.mood = "far"
    ran = run("prompt", "own", "--json")
    assert (ran.code, "in a container" in ran.document["try"]) == (6, True)
    assert run("prompt", "native").code == 0


def test_an_older_ollama(daemon):
    """Before 0.30 no Ollama shows a chat template, and the command says so instead of that there is none."""
    daemon.becomes("0.12.0")
    ran = run("prompt", "own", "--json")
    assert (ran.code, "does not show the chat template" in ran.document["what"]) == (4, True)


def test_options_of_a_build(daemon):
    """An option that says how a model is built is refused for a model, and not passed over."""
    ran = run("prompt", "own", "--template", "chatml")
    assert (ran.code, "--template is for an adapter in DIR" in ran.stderr) == (2, True)


def test_weights_that_are_not_here(daemon):
    """`try` needs the weights, and says where they are."""
    ran = run("try", "own", "Hello", "--json")
    assert (ran.code, ran.document["where"]) == (6, daemon.address)


def test_a_base_that_only_the_daemon_has(daemon, ada, renders):
    """The prompts of a build on such a base are proved before it, with the stops that the base has."""
    (ada / "chat_template.jinja").write_text(JINJA, "utf-8")
    ran = run("build", ada, "ada", "--base", "native", "--strict")
    assert ran.code == 0, ran.stderr
    assert "18 of 18 conversations byte-equal" in ran.stderr
    shown = run("prompt", ada, "--base", "own", "--json").document
    assert shown["proofs"][0]["passed"]
    assert any("the TEMPLATE of the base is left out" in each for each in shown["changes"])
