"""What was registered is loaded by the daemon that has it, and unloaded again."""

from dataclasses import replace

import fake_daemon
import pytest
from scratch_store import BASE_TAG, add_base, snapshot
from tiny_model import base_noun, make_adapter, make_header

from ollama_pack.deliver import choose, create
from ollama_pack.deliver.load_check import check_load
from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations


@pytest.fixture
def prove(fake, package):
    """Register the package with the stand-in, and return what proves that it loads."""
    with Daemon(fake.address) as daemon:
        create.create_model(package, daemon)
        fake.requests.clear()
        yield lambda proved=package, **options: check_load(proved, daemon, **options)


def test_loads(fake, package, prove):
    """The model answers otherwise than its base, and both are unloaded afterwards."""
    report = prove()
    assert report.passed
    assert f"differently from {BASE_TAG} for 3 of 3" in report.summary
    last = [(body["model"], body.get("keep_alive")) for body in fake.asked("POST", "/api/generate")[-2:]]
    assert last == [(package.name.display, 0.0), (f"{BASE_TAG}:latest", 0.0)]


def test_asked_alike(fake, package, prove):
    """Model and base are asked the same, without chance and without a template."""
    prove()
    asked = [body for body in fake.asked("POST", "/api/generate") if body.get("prompt")]
    assert len(asked) == 6
    assert all(body["raw"] and body["options"]["temperature"] == 0 for body in asked)


def test_does_nothing(fake, package, prove, monkeypatch):
    """A model that answers as its base does fails, unless it may."""
    monkeypatch.setattr(Daemon, "answer", lambda *_: ("same", ()))
    with pytest.raises(ProofError, match="has no effect"):
        prove()
    assert prove(allow_noop=True).passed


def test_asleep(fake, package, prove, monkeypatch, tmp_path):
    """An aLoRA is silent until its tokens come, so its answers may be its base's."""
    monkeypatch.setattr(Daemon, "answer", lambda *_: ("same", ()))
    asleep = make_adapter(tmp_path / "asleep.gguf", invocation=(5, 9))
    assert prove(replace(package, adapter=asleep)).passed
    awake = make_adapter(tmp_path / "awake.gguf")
    with pytest.raises(ProofError, match="has no effect"):
        prove(replace(package, adapter=awake))


def test_does_not_load(fake, package, prove):
    """A bare exit status is told with what was checked, and what can be done."""
    fake.mood = "cannot load"
    with pytest.raises(ProofError, match=r"cannot load model-[0-9]+ \(llama-server") as caught:
        prove()
    assert caught.value.hint.endswith("--no-load skips this proof")
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
    add_base(models, make_header(models / "base.gguf", "gptoss", whole=True), tag="other")
    adapter = make_adapter(models / "lora.gguf", arch="gpt-oss")
    package = replace(package, adapter=adapter, base=base_noun(tag="other"))
    with fake_daemon.running(models, character) as fake:
        choose.deliver(package, OllamaLocations(fake.address, ()))
        with pytest.raises(ProofError, match=says) as caught, Daemon(fake.address) as daemon:
            check_load(package, daemon)
    assert hint in caught.value.hint


@pytest.mark.parametrize("character", ["0.33", "0.34.1", "0.40"])
def test_a_base_that_is_a_file_is_compared_too(models, package, character, gguf_base):
    """Its bytes are there as a layer of the model: they are lent a name, asked, and nothing of it stays."""
    package = replace(package, base=base_noun(gguf_file=gguf_base))
    with fake_daemon.running(models, character) as fake:
        choose.deliver(package, OllamaLocations(fake.address, ()))
        before = snapshot(models)
        with Daemon(fake.address) as daemon:
            report = check_load(package, daemon)
        assert "differently from tiny.gguf for 3 of 3" in report.summary
        asked = {body["model"] for body in fake.asked("POST", "/api/generate") if body.get("prompt")}
        assert len(asked) == 2
        assert package.name.display in asked
        after = snapshot(models)
    assert {path: after[path] for path in before} == before
    assert all(path.startswith("blobs/") for path in after.keys() - before.keys())


def test_a_daemon_that_cannot_come_compares_nothing(fake, package, prove, gguf_base, monkeypatch):
    """Where a file's base cannot be asked, that is said."""

    def refuse(*_args, **_options):
        raise DestinationError("The daemon broke off.")

    monkeypatch.setattr(Daemon, "push", refuse)
    report = prove(replace(package, base=base_noun(gguf_file=gguf_base)))
    assert report.summary.endswith("loads and answers; its base cannot be asked, so nothing is compared")
    asked = {body["model"] for body in fake.asked("POST", "/api/generate") if body.get("prompt")}
    assert asked == {package.name.display}
