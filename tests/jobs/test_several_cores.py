"""Jobs that several processes or threads do: their results, their order, and what is done when one ends."""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ollama_pack.jobs import several_cores
from ollama_pack.jobs.several_cores import AHEAD, Codec, Job, done_in_order, helpers_for

NUMBER = struct.Struct("<q")
NUMBERS = Codec(NUMBER.pack, lambda packed: NUMBER.unpack(packed)[0])

forks = pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: helpers are processes on Linux only")


@pytest.fixture(params=[True, False], ids=["processes", "threads"])
def ways(request, monkeypatch):
    """Run a test with helpers of either kind."""
    if request.param and sys.platform != "linux":
        pytest.skip("NOT TESTED: helpers are processes on Linux only")
    monkeypatch.setattr(several_cores, "FORKS", request.param)


@pytest.mark.parametrize("helpers", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, AHEAD + 1, 100])
def test_results_come_in_order(ways, helpers, count):
    """Whoever does a job, and however long it takes, its result comes in its place."""

    def square(number):
        time.sleep(number % 3 / 3000)
        return number * number

    jobs = [Job(lambda number=number: square(number), number % 5 != 0) for number in range(count)]
    assert list(done_in_order(jobs, NUMBERS, helpers)) == [number * number for number in range(count)]


@forks
def test_the_work_is_shared():
    """A helper does its part, and what may not be shared is done here."""
    here = os.getpid()

    def who():
        time.sleep(0.01)
        return os.getpid()

    jobs = [Job(who, number % 4 != 0) for number in range(40)]
    found = list(done_in_order(jobs, NUMBERS, 2))
    assert len(set(found)) == 3
    assert set(found[::4]) == {here}


@pytest.mark.parametrize("is_shared", [True, False])
def test_what_a_job_raised(ways, is_shared):
    """What a job raised comes in its place, with all that the error carries; the first one comes first."""

    def fail(number):
        if number in (7, 9):
            raise FileNotFoundError(2, f"no file {number}", "a name")
        return number

    jobs = [Job(lambda number=number: fail(number), is_shared) for number in range(30)]
    taken: list[int] = []
    with pytest.raises(FileNotFoundError, match="no file 7") as caught:
        taken.extend(done_in_order(jobs, NUMBERS, 2))
    assert caught.value.filename == "a name"
    assert taken == list(range(7))


@forks
def test_a_helper_that_is_killed():
    """What a helper had to do when it was killed is done here."""
    here = os.getpid()

    def die_elsewhere(number):
        if number > 5 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.001)
        return number

    jobs = [Job(lambda number=number: die_elsewhere(number)) for number in range(60)]
    assert list(done_in_order(jobs, NUMBERS, 3)) == list(range(60))


@pytest.fixture
def made(monkeypatch):
    """Return a list that gets the pipes and the processes that are made, by inode and number."""
    found: dict[str, set] = {"pipes": set(), "processes": set()}
    pipe, fork = os.pipe, os.fork

    def pipe_told():
        ends = pipe()
        found["pipes"].add(os.fstat(ends[0]).st_ino)
        return ends

    def fork_told():
        process = fork()
        if process:
            found["processes"].add(process)
        return process

    monkeypatch.setattr(os, "pipe", pipe_told)
    monkeypatch.setattr(os, "fork", fork_told)
    return found


def still_open(pipes):
    """Return how many ends of some pipes this process has open."""
    links = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(each.readlink()))
    return sum(links.count(f"pipe:[{pipe}]") for pipe in pipes)


@forks
def test_no_process_can_be_made(made, monkeypatch):
    """Where the system allows no further process, all is done here."""

    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    jobs = [Job(lambda number=number: number) for number in range(9)]
    assert list(done_in_order(jobs, NUMBERS, 2)) == list(range(9))
    assert made["pipes"]
    assert still_open(made["pipes"]) == 0


@forks
def test_nothing_is_left(made):
    """When the results are no longer wanted, no process and no open file stays."""
    results = done_in_order([Job(os.getpid) for _ in range(100)], NUMBERS, 3)
    next(results)
    assert (len(made["processes"]), still_open(made["pipes"])) == (3, 6)
    results.close()
    assert still_open(made["pipes"]) == 0
    for process in made["processes"]:
        with pytest.raises(ChildProcessError):
            os.waitpid(process, os.WNOHANG)


ABANDONED = """
import os, sys, time
from ollama_pack.jobs.several_cores import Codec, Job, done_in_order

def work():
    time.sleep(0.01)
    return os.getpid()

codec = Codec(lambda number: str(number).encode(), int)
seen = set()
for number in done_in_order([Job(work) for _ in range(10000)], codec, 2):
    if number not in seen:
        print(number, flush=True)
        seen.add(number)
"""


@forks
def test_helpers_end_with_the_process_that_asks():
    """When that is killed, its helpers end by themselves."""
    with subprocess.Popen([sys.executable, "-c", ABANDONED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        numbers = [int(process.stdout.readline()) for _ in range(3)]
        process.kill()
    until = time.monotonic() + 60
    others = [Path(f"/proc/{number}") for number in numbers if number != process.pid]
    while any(each.exists() for each in others) and time.monotonic() < until:
        time.sleep(0.01)
    assert [each for each in others if each.exists() and "Z" not in state_of(each)] == []


def state_of(process):
    """Return the state of a process, or "Z" if it has ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_what_is_worth_a_helper(monkeypatch):
    """Small files and machines of one core have none; there are never more than three."""
    for cores, found in ((1, 0), (2, 1), (3, 2), (64, 3), (None, 0)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert helpers_for(several_cores.LEAST_SHARED) == found
        assert helpers_for(several_cores.LEAST_SHARED - 1) == 0
