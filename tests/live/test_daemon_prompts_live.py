"""`ollama-pack prompt MODEL` with a real daemon whose store is out of sight: what it shows and renders."""

import pytest
from scratch_store import add_base
from terminal import run
from tiny_model import make_base

pytestmark = pytest.mark.live

JINJA = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}!"
TEMPLATE = "{{ range .Messages }}[{{ .Role }}]{{ .Content }}{{ end }}"


@pytest.fixture
def hidden(live, tmp_path, monkeypatch):
    """Return the real daemon, with three models and with its store out of sight."""
    base = make_base(tmp_path / "native.gguf", chat=JINJA)
    add_base(live.store, base, tag="hidden-native", template="")
    add_base(live.store, base, tag="hidden-own", template=TEMPLATE)
    own = {"system": "Be kind.", "messages": [{"role": "user", "content": "a"}]}
    live.ask("/api/create", model="hidden-system", **{"from": "hidden-own"}, **own, stream=False)
    monkeypatch.setattr("ollama_pack.ollama.daemon_store.store_with", lambda *_: None)
    monkeypatch.setenv("OLLAMA_HOST", live.address)
    return live


@pytest.mark.parametrize("name", ["hidden-native", "hidden-own", "hidden-system"])
def test_what_is_computed_is_what_is_rendered(hidden, name):
    """The prompts computed of what the daemon shows are those that it renders, and nothing stays."""
    before = sorted(each.name for each in hidden.daemon.models())
    shown = run("prompt", name, "--json").document
    told = run("prompt", name, "--against", "daemon", "--json").document
    plain = [[each for each in found["conversations"] if each["kind"] == "plain"] for found in (shown, told)]
    assert plain[0] == plain[1]
    assert all(each["trained"] and each["sent"] for each in plain[0])
    assert shown["sender"] == ("jinja" if name == "hidden-native" else "go")
    assert sorted(each.name for each in hidden.daemon.models()) == before


def test_a_renderer_is_shown_by_the_word_of_the_daemon(hidden):
    """A renderer of Ollama's own is not computed, and what the hint names shows its prompts."""
    made = {"from": "hidden-native", "renderer": "olmo3", "stream": False}
    hidden.ask("/api/create", model="hidden-olmo", **made)
    refused = run("prompt", "hidden-olmo", "--json")
    assert (refused.code, refused.document["code"]) == (4, "own-renderer")
    told = run("prompt", "hidden-olmo", "--against", "daemon", "--json").document
    assert (told["sender"], told["proofs"][0]["passed"]) == ("renderer", False)
    assert "<|im_start|>" in told["conversations"][0]["sent"]
