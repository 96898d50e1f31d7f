"""A real daemon that is killed after each of its answers, and at any moment; its models run afterwards."""

import contextlib
import threading
import time
from pathlib import Path

import httpx
import pytest
import real_daemon
from proxy import before
from soundness import LOOPBACK, models, require_sound

from ollama_pack.deliver import choose
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.locations import OllamaLocations

pytestmark = pytest.mark.live
NAME = "ada:latest"
MOMENTS = 12


def put(package, address, via):
    """Put a package through a daemon; return whether that succeeded."""
    with contextlib.suppress(DestinationError):
        choose.deliver(package, OllamaLocations(address, ()), via=via)
        return True
    return False


def say(address, model):
    """Return what a model says, which it can only if it loads."""
    options = {"temperature": 0, "num_predict": 4, "num_ctx": 64}
    body = {"model": model, "prompt": "ada", "stream": False, "options": options}
    answer = httpx.post(f"{address}/api/generate", json=body, timeout=120, trust_env=False)
    if "llama-server binary not found" in answer.text:
        pytest.skip("NOT TESTED by running a model: this Ollama has no llama-server")
    assert answer.is_success, answer.text
    return answer.json()["response"]


def require_torn(store, before_it):
    """Require that nothing but a manifest that was being written is lost, and that its model is kept."""
    now = models(store, torn=True)
    require_sound(store, before_it, NAME, now.get(NAME, ""), torn=True)


def require_recovery(directory, before_it, package, via):
    """Require that a daemon started anew has every model whole, takes the next build, and runs them all."""
    with real_daemon.running(directory) as daemon:
        assert put(package, daemon.address, via)
        after = models(daemon.store)
        assert not [name for name in after if name.startswith(LOOPBACK)]
        require_sound(daemon.store, before_it, NAME, after[NAME])
        assert say(daemon.address, NAME) != say(daemon.address, "bystander:latest")


@pytest.mark.parametrize("via", ["create", "pull"])
def test_killed_after_each_answer(via, new_store, package, record_property):
    """Kill -9 after any request that a build makes."""
    tried = 0
    while True:
        directory, left = _home(new_store()), tried + 1
        before_it = models(directory / "models")
        with real_daemon.running(directory) as daemon:

            def answered(daemon=daemon):
                nonlocal left
                left -= 1
                if left == 0:
                    daemon.kill()

            with before(daemon.address, answered=answered) as address:
                done = put(package, address, via)
        require_torn(daemon.store, before_it)
        if left > 0:
            assert done
            break
        require_recovery(directory, before_it, package, via)
        tried += 1
    record_property("faults", tried)
    assert tried > 8


@pytest.mark.parametrize("via", ["create", "pull"])
def test_killed_at_any_moment(via, new_store, package, record_property):
    """Kill -9 at moments spread over the time that a build takes."""
    with real_daemon.running(_home(new_store())) as daemon:
        start = time.monotonic()
        assert put(package, daemon.address, via)
        took = time.monotonic() - start
    for moment in range(MOMENTS):
        directory = _home(new_store())
        before_it = models(directory / "models")
        with real_daemon.running(directory) as daemon:
            timer = threading.Timer(took * (moment + 0.5) / MOMENTS, daemon.kill)
            timer.start()
            put(package, daemon.address, via)
            timer.join()
        require_torn(daemon.store, before_it)
        require_recovery(directory, before_it, package, via)
    record_property("faults", MOMENTS)


def _home(store: Path) -> Path:
    """Return a home of a daemon whose store this is."""
    home = store.with_name(f"home-{store.name}")
    home.mkdir()
    store.rename(home / "models")
    return home
