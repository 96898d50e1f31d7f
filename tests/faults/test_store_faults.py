"""A store write that is killed, or meets a full disk, at every step it has: each is tried."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from soundness import lasting, models, require_sound
from ways import NOBODY

from ollama_pack.deliver import choose
from ollama_pack.deliver.package import Package
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.locations import OllamaLocations

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT TESTED: this system has no fork")

NAME = "ada:latest"
CASES = [(newer, taken) for newer in (False, True) for taken in (False, True)]
FAILED, UNEXPECTED = 6, 99
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CREATING = {"os.mkdir", "os.rename", "os.link", "os.symlink", "tempfile.mkstemp", "written"}
"""What a full disk refuses, beside opening a file to write."""


def put(package: Package, store: Path, step: Callable[[], None]) -> None:
    """Put a package into a store; every byte that is moved is a step too."""
    places = OllamaLocations(NOBODY, (store,), named=True)
    choose.deliver(package, places, progress=lambda *_: step())


def child(package: Package, store: Path, at: int, fail: Callable[[], None], kinds: set[str] | None) -> int:
    """Put a package in a process of its own, where `fail` is called at a step; return how it ended.

    A step is whatever touches a file of the store, or only what is of one of `kinds`.
    """
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps >= at:
            fail()

    def watch(event: str, args: tuple) -> None:
        if not any(str(store) in str(argument) for argument in args[:2]):
            return
        if event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            event = "written"
        if kinds is None or event in kinds:
            step()

    code = UNEXPECTED
    with contextlib.suppress(BaseException):  # whatever it was, the process ends here
        sys.addaudithook(watch)
        try:
            put(package, store, step if kinds is None else lambda: None)
            code = 0
        except DestinationError:
            code = FAILED
    os._exit(code)


def kill() -> None:
    """End this process as a power failure would."""
    os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
    """Let the disk be full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def expected(package: Package, store: Path) -> str:
    """Return the digest of the model in a store where nothing went wrong."""
    put(package, store, lambda: None)
    return models(store)[NAME]


@pytest.mark.parametrize(("newer", "taken"), CASES)
def test_killed_at_every_step(newer, taken, new_store, package, record_property):
    """Every model is whole after kill -9 at any step, and the next run succeeds."""
    new = expected(package, new_store(newer=newer, taken=taken))
    tried = 0
    while True:
        store = new_store(newer=newer, taken=taken)
        before = models(store)
        ended = child(package, store, tried + 1, kill, None)
        require_sound(store, before, NAME, new)
        put(package, store, lambda: None)
        assert lasting(store)[NAME] == new
        require_sound(store, before, NAME, new)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        tried += 1
    record_property("faults", tried)
    assert tried > 40


@pytest.mark.parametrize(("newer", "taken"), CASES)
def test_a_disk_full_from_every_step_on(newer, taken, new_store, package, record_property):
    """A full disk is an error that leaves every model as it was, and no blob that nobody needs."""
    new = expected(package, new_store(newer=newer, taken=taken))
    tried = 0
    while True:
        store = new_store(newer=newer, taken=taken)
        before, blobs = models(store), {path.name for path in (store / "blobs").iterdir()}
        ended = child(package, store, tried + 1, full, CREATING)
        require_sound(store, before, NAME, new)
        if ended == 0:
            break
        assert ended == FAILED
        assert not list(store.rglob(".ollama-pack-*")), "a draft is left"
        if lasting(store).get(NAME) == before.get(NAME) and not newer:
            assert {path.name for path in (store / "blobs").iterdir()} == blobs
        put(package, store, lambda: None)
        require_sound(store, before, NAME, new)
        tried += 1
    record_property("faults", tried)
    assert tried > 8


@pytest.mark.parametrize("newer", [False, True])
def test_two_at_once(newer, new_store, package, earlier, record_property):
    """Two builds of one name at the same time: one of them has it in the end, the other is a version."""
    rounds = 25
    either = {expected(each, new_store(newer=newer, taken=False)) for each in (package, earlier)}
    for _ in range(rounds):
        store = new_store(newer=newer, taken=False)
        before = models(store)
        processes = []
        for each in (package, earlier):
            process = os.fork()
            if not process:
                code = UNEXPECTED
                with contextlib.suppress(BaseException):
                    put(each, store, lambda: None)
                    code = 0
                os._exit(code)
            processes.append(process)
        ended = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
        assert ended == [0, 0]
        after = models(store)
        assert after[NAME] in either
        assert either <= set(after.values()), "the model of one of them is lost"
        assert {name: after[name] for name in before} == before
    record_property("faults", rounds)
