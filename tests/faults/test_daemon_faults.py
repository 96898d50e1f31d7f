"""A daemon that dies at every step of its work, and one that two builds speak to at once."""

import threading
from dataclasses import replace

import fake_daemon
import pytest
from soundness import LOOPBACK, lasting, models, require_sound

from ollama_pack.deliver import choose
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.locations import OllamaLocations

NAME = "ada:latest"
WAYS = [("create", "0.33"), ("pull", "0.34.1"), ("pull", "0.40")]


def prove(staged, daemon):
    """Ask a model for something, as the load proof does."""
    assert daemon.answer(staged.place.display, "Who are you?", 1)


def put(package, store, way, dies_at=0):
    """Put a package by way of a daemon that dies at a step; return whether it lived, and its steps."""
    via, character = way
    with fake_daemon.running(store, character) as fake:
        fake.dies_at = dies_at
        try:
            choose.deliver(package, OllamaLocations(fake.address, ()), via=via)
        except DestinationError:
            assert dies_at
        return not dies_at or fake.steps < dies_at


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=", ".join)
def test_a_daemon_that_dies_at_every_step(way, taken, new_store, package, record_property):
    """Killed at any request, blob or line: all models are whole, and the next run succeeds and tidies."""
    whole = new_store(taken=taken)
    put(package, whole, way)
    new = models(whole)[NAME]
    tried = 0
    while True:
        store = new_store(taken=taken)
        before = models(store)
        lived = put(package, store, way, dies_at=tried + 1)
        require_sound(store, before, NAME, new)
        put(package, store, way)
        after = models(store)
        assert after[NAME] == new
        assert not [name for name in after if name.startswith(LOOPBACK) or "unproved" in name]
        require_sound(store, before, NAME, new)
        if lived:
            break
        tried += 1
    record_property("faults", tried)
    assert tried > 15


@pytest.mark.parametrize("way", [("create", "0.33"), ("pull", "0.40")], ids=", ".join)
def test_a_daemon_that_dies_while_a_model_is_proved(way, new_store, package, record_property):
    """Killed at any step of delivery, proof or swap: the name is old or new, and nothing stays."""
    package = replace(package, gate=prove)
    test_a_daemon_that_dies_at_every_step(way, True, new_store, package, record_property)


@pytest.mark.parametrize("way", WAYS, ids=", ".join)
def test_two_builds_at_once(way, new_store, package, earlier, record_property):
    """Two builds of one name through one daemon: one of them has it, the other is a version."""
    (via, character), rounds = way, 8
    for _ in range(rounds):
        store = new_store(taken=False)
        before = models(store)
        receipts = []

        def build(each, places, receipts=receipts):
            receipts.append(choose.deliver(each, places, via=via))

        with fake_daemon.running(store, character) as fake:
            places = OllamaLocations(fake.address, ())
            both = [threading.Thread(target=build, args=(each, places)) for each in (package, earlier)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
        after = models(store)
        last, other = sorted(receipts, key=lambda receipt: receipt.digest != after[NAME])
        assert after[NAME] == last.digest
        assert other.digest in after.values(), "the model of one of them is lost"
        assert any("is kept as" in line for line in last.lines)
        assert not [name for name in after if name.startswith(LOOPBACK)]
        assert {name: after[name] for name in before} == before
        assert lasting(store) == after
    record_property("faults", rounds)
