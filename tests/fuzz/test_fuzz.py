"""Every reader of foreign bytes: whatever it is given, it returns, or says what is wrong with which file."""

import contextlib

import fuzzing
import pytest
from fuzzing import TARGETS, TooManyCallsError, counted_calls, fuzz, fuzz_on, peak_memory
from target import Target

from ollama_pack.errors import PackError

INPUTS, MEMORY = 60, 64 << 20


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_whatever_it_is_given_it_ends(target, monkeypatch):
    """Each input ends in a result or an error of the package, within bounded calls and memory."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    cost = fuzz(target, max(2, round(INPUTS * target.share)))
    assert cost.count
    assert peak_memory(target, cost.slowest_input) < MEMORY


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_real_files_are_read(target, tmp_path, monkeypatch):
    """What is mutated is read as it is, or the mutations would only try the first check of a reader."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    read = 0
    for number, content in enumerate(target.seeds()):
        place = tmp_path / str(number)
        place.mkdir()
        with contextlib.suppress(PackError):
            target.read(content, place)
            read += 1
    assert read >= len(target.seeds()) / 2


def test_failures_are_found(monkeypatch):
    """A reader with a bug is found out, one that never ends too, and each kind is told with an input."""
    monkeypatch.setattr(fuzzing, "MOST_CALLS", 1000)

    def fragile(content, _place):
        if b"x" in content:
            raise TypeError
        while b"y" in content:
            len(content)

    target = Target("fragile", fragile, lambda: [b"xa", b"ya"])
    found = fuzz_on(target, 20).failures
    assert {kind.partition(" ")[0] for kind in found} == {"TypeError", "TooManyCallsError"}
    with pytest.raises((TypeError, TooManyCallsError)):
        fuzz(target, 20)
    with counted_calls() as calls:
        len("a")
    assert 1 <= calls[0] < 10
