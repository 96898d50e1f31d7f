"""What was registered is loaded by the daemon that has it, and unloaded again."""

from dataclasses import replace

import fake_daemon
import pytest
from scratch_store import BASE_TAG, add_base
from tiny_model import base_noun, make_adapter, make_header

from ollama_pack.destinations import choose, create
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.places import Places
from ollama_pack.errors import ProofError
from ollama_pack.loading import prove_loaded


@pytest.fixture
def put(fake, package):
    """Register the package with the stand-in, and return its address."""
    with Daemon(fake.address) as daemon:
        create.put(package, daemon)
    fake.requests.clear()
    return fake.address


def test_loads(fake, package, put):
    """The model answers otherwise than its base, and both are unloaded afterwards."""
    report = prove_loaded(package, put)
    assert report.passed
    assert f"otherwise than {BASE_TAG}:latest in 3 of 3" in report.summary
    last = [(body["model"], body.get("keep_alive")) for body in fake.asked("POST", "/api/generate")[-2:]]
    assert last == [(package.name.display, 0.0), (f"{BASE_TAG}:latest", 0.0)]


def test_asked_alike(fake, package, put):
    """Model and base are asked the same, without chance and without a template."""
    prove_loaded(package, put)
    asked = [body for body in fake.asked("POST", "/api/generate") if body.get("prompt")]
    assert len(asked) == 6
    assert all(body["raw"] and body["options"]["temperature"] == 0 for body in asked)


def test_does_nothing(fake, package, put, monkeypatch):
    """A model that answers as its base does fails, unless it may."""
    monkeypatch.setattr(Daemon, "answer", lambda *_: ("same", ()))
    with pytest.raises(ProofError, match="does nothing"):
        prove_loaded(package, put)
    assert prove_loaded(package, put, allow_noop=True).passed


def test_asleep(fake, package, put, monkeypatch, tmp_path):
    """An aLoRA is silent until its tokens come, so its answers may be its base's."""
    monkeypatch.setattr(Daemon, "answer", lambda *_: ("same", ()))
    asleep = make_adapter(tmp_path / "asleep.gguf", invocation=(5, 9))
    assert prove_loaded(replace(package, adapter=asleep), put).passed
    awake = make_adapter(tmp_path / "awake.gguf")
    with pytest.raises(ProofError, match="does nothing"):
        prove_loaded(replace(package, adapter=awake), put)


def test_does_not_load(fake, package, put):
    """A bare exit status is told with what was checked, and what can be done."""
    fake.mood = "cannot load"
    with pytest.raises(ProofError, match=r"cannot load it \(llama-server process has terminated") as caught:
        prove_loaded(package, put)
    assert "--no-load" in caught.value.hint
    assert "shapes and types" in caught.value.hint


@pytest.mark.parametrize(
    ("character", "says", "hint"),
    [
        ("0.12", "loras are not yet implemented", "an engine without LoRA"),
        ("0.40", "cannot convert legacy GGUF", "Ollama 0.40.2 does not load it with an adapter"),
    ],
)
def test_a_base_this_ollama_does_not_run(models, package, character, says, hint):
    """What this generation of Ollama cannot load is told with the reason, and what would help."""
    add_base(models, make_header(models / "base.gguf", "gptoss"), tag="other")
    adapter = make_adapter(models / "lora.gguf", arch="gpt-oss")
    package = replace(package, adapter=adapter, base=base_noun(tag="other"))
    with fake_daemon.running(models, character) as fake:
        choose.put(package, Places(fake.address, ()))
        with pytest.raises(ProofError, match=says) as caught:
            prove_loaded(package, fake.address)
    assert hint in caught.value.hint


def test_a_file_has_no_name_to_ask(fake, package, put, gguf_base):
    """Of a base that is a file nothing is asked."""
    report = prove_loaded(replace(package, base=base_noun(gguf_file=gguf_base)), put)
    assert report.summary.endswith("loads and answers")
    assert {body["model"] for body in fake.asked("POST", "/api/generate")} == {package.name.display}
