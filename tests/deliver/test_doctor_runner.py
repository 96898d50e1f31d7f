"""Whether a daemon can run a model: `doctor` asks the daemon, and nothing stays loaded."""

import pytest
from scratch_store import BASE_TAG

from ollama_pack.doctor.examine import examine
from ollama_pack.doctor.findings import PROBLEM, RunCheck
from ollama_pack.ollama.locations import OllamaLocations


def test_a_daemon_that_runs_models(fake):
    """The daemon is asked by loading its smallest model for a moment, and that is taken back."""
    seen = examine(OllamaLocations(fake.address, ()))
    assert (seen.runner.works, seen.runner.why) == (True, f"{BASE_TAG}:latest was loaded and unloaded again")
    bodies = fake.asked("POST", "/api/generate")
    assert [body.get("keep_alive") for body in bodies] == [None, 0]
    assert not any(body.get("prompt") for body in bodies)


def test_a_loaded_model_is_an_answer(fake):
    """Where a model is loaded nothing is loaded or unloaded."""
    fake.loaded = ["theirs:latest"]
    assert examine(OllamaLocations(fake.address, ())).runner == RunCheck(True, "theirs:latest is loaded")
    assert fake.asked("POST", "/api/generate") == []


def test_nothing_is_loaded_if_that_is_asked(fake):
    """``--no-load`` leaves the question open."""
    assert examine(OllamaLocations(fake.address, ()), load=False).runner.works is None
    assert fake.asked("POST", "/api/generate") == []


@pytest.mark.parametrize(
    ("says", "fix"),
    [
        ("llama-server process has terminated: exit status 1", "read the daemon's log"),
        ("llama-server binary not found (checked: /usr/lib/ollama)", "reinstall Ollama"),
    ],
)
def test_a_daemon_that_runs_nothing(fake, says, fix):
    """It answers and lists, but loads no model: that is a problem, with the daemon's own words."""
    fake.mood, fake.says = "cannot load", says
    seen = examine(OllamaLocations(fake.address, ()))
    assert seen.runner.works is False
    (found,) = (each for each in seen.findings if each.about == "Ollama 0.33.0")
    assert (found.level, found.what) == (PROBLEM, f"{BASE_TAG}:latest does not load: the daemon says: {says}")
    assert fix in found.fix


def test_only_models_that_cannot_be_asked(fake):
    """An embedding model is no evidence, and neither is an empty daemon."""
    fake.mood, fake.says = "cannot load", f'"{BASE_TAG}" does not support generate'
    assert examine(OllamaLocations(fake.address, ())).runner.works is None
    fake.models.erase(BASE_TAG)
    assert examine(OllamaLocations(fake.address, ())).runner.works is None
