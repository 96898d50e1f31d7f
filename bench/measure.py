"""Time whole processes: wall clock, processor time and peak memory, as the kernel counts them."""

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One run of one command: its seconds, its mebibytes, and its last words if it failed."""

    wall: float
    processor: float
    peak: float
    failure: str = ""


@dataclass(frozen=True)
class Command:
    """What is run, and what is put right before each run (not timed)."""

    name: str
    words: Sequence[str]
    before: Callable[[], None] = lambda: None


@dataclass
class Series:
    """All runs of one command."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def failure(self) -> str:
        """Return the last words of the first run that failed, or "" if none did."""
        return next((sample.failure for sample in self.samples if sample.failure), "")

    @property
    def walls(self) -> list[float]:
        """Return the wall-clock seconds, in the order of the runs."""
        return [sample.wall for sample in self.samples]

    @property
    def median(self) -> float:
        """Return the median of the wall-clock seconds."""
        return statistics.median(self.walls)

    @property
    def processor(self) -> float:
        """Return the median of user and system seconds together."""
        return statistics.median(sample.processor for sample in self.samples)

    @property
    def peak(self) -> float:
        """Return the largest peak memory, in MiB."""
        return max(sample.peak for sample in self.samples)


def run(command: Command, folder: Path, environment: Mapping[str, str]) -> Sample:
    """Run a command once; its output goes to a file, so that no pipe slows it down."""
    command.before()
    os.sync()  # what an earlier command left in the cache is not this one's to write
    said = folder / "said.txt"
    with said.open("wb") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command.words, stdout=out, stderr=out, env=dict(environment))
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    failure = ""
    if process.returncode != 0:
        lines = said.read_text("utf-8", "replace").strip().splitlines() or ["no words"]
        failure = re.sub(r"(?<!\w)/[^\s'\"]+", "…", f"exit {process.returncode}: {lines[-1]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, failure)


def peak_together(command: Command, folder: Path, environment: Mapping[str, str]) -> float:
    """Run a command once more, and return the most memory that it has with all its processes, in MiB.

    What they share is counted once. It is not timed, since looking takes time; without /proc it is 0.
    """
    command.before()
    most = 0.0
    with (folder / "said.txt").open("wb") as out:
        process = subprocess.Popen(command.words, stdout=out, stderr=out, env=dict(environment))
        while process.poll() is None:
            most = max(most, _memory_of(process.pid))
            time.sleep(0.02)
    return most


def _memory_of(process: int) -> float:
    """Return the memory of a process and of its children, in MiB."""
    home = Path("/proc") / str(process)
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", (home / "smaps_rollup").read_text(), re.M)
        children = (home / "task" / str(process) / "children").read_text().split()
    except OSError:  # it has ended, or there is no /proc
        return 0.0
    own = int(found[1]) / 1024 if found else 0.0
    return own + sum(_memory_of(int(child)) for child in children)


def measure(
    commands: Sequence[Command], rounds: int, folder: Path, environment: Mapping[str, str]
) -> dict[str, Series]:
    """Run all commands in turn, round after round, after one round that does not count.

    In turn, so that a machine that is busy for a while is busy for all of them. A command that
    fails in the first round is not run again.
    """
    series = {command.name: Series(command.name) for command in commands}
    for number in range(rounds + 1):
        for command in commands:
            found = series[command.name]
            if found.failure:
                continue
            sample = run(command, folder, environment)
            if number > 0 or sample.failure:
                found.samples.append(sample)
    return series
