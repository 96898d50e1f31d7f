"""Does jobs with several cores, and gives their results in the order of the jobs.

The process that wants the results works, too, while the first of them is not there. On Linux its helpers are
processes: the steps of numpy are short, and two threads of one interpreter would wait for each other for a
fifth of the time. Elsewhere they are threads.
"""

import os
import select
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ollama_pack.errors import PackError
from ollama_pack.jobs.forked import ForkedHelper

Result = TypeVar("Result")

InOrder: TypeAlias = Generator[Result, None, None]

MOST_HELPERS = 3
"""Helpers at most; more of them would wait for the process that takes the results."""

AHEAD = 16
"""Results that are there, or are being made, before the first of them is taken."""

IN_RESERVE = 4
"""Jobs that a helper has at most, so that it need not wait for the next one; towards the end it has fewer."""

LEAST_SHARED = 1 << 25
"""Size of a file in bytes below which starting a helper costs more than it saves."""

FORKS = sys.platform == "linux"
"""Whether helpers are processes."""


TOLD = (PackError, OSError)
"""Errors that are raised when their job's turn comes, so that of several errors the first is reported."""


@dataclass(frozen=True, slots=True)
class Job(Generic[Result]):
    """A job: what to do, and whether another process may do it.

    Attributes:
        do: the function; it may be called by another process or thread, and again here after it failed there.
        is_shared: whether another process can do it.
    """

    do: Callable[[], Result]
    is_shared: bool = True


@dataclass(frozen=True, slots=True)
class Codec(Generic[Result]):
    """How a result is brought from one process to another.

    Attributes:
        pack: turns a result into bytes.
        unpack: turns these bytes back into the result.
    """

    pack: Callable[[Result], bytes]
    unpack: Callable[[bytes], Result]


def helpers_for(size: int) -> int:
    """Return how many helpers to start for a file of `size` bytes: at most one fewer than there are cores."""
    return min((os.cpu_count() or 1) - 1, MOST_HELPERS) if size >= LEAST_SHARED else 0


def done_in_order(jobs: Sequence[Job[Result]], codec: Codec[Result], helpers: int) -> "InOrder[Result]":
    r"""Yield the results of jobs in their order; what a job raised is raised in its place.

    Args:
        jobs: the jobs, in the order of the results.
        codec: how a process sends a result to this one.
        helpers: the number of processes or threads beside this one.

    Example:
        >>> jobs = [Job(lambda number=number: bytes([number])) for number in range(3)]
        >>> list(done_in_order(jobs, Codec(bytes, bytes), helpers=1))
        [b'\x00', b'\x01', b'\x02']
    """
    return (_with_processes if FORKS else _with_threads)(jobs, codec, helpers)


def _with_processes(jobs: Sequence[Job[Result]], codec: Codec[Result], count: int) -> "InOrder[Result]":
    """Yield the results of jobs that this process and some helpers do."""
    team = _Team(jobs, codec)
    try:
        team.gather(count)
        for number in range(len(jobs)):
            team.share(number + AHEAD)
            while number not in team.results:
                team.share(number + AHEAD)
                if not team.take() and not team.work(number + AHEAD):
                    team.take(wait=True)
            result = team.results.pop(number)
            if isinstance(result, TOLD):
                raise result
            yield result
    finally:
        for helper in team.helpers:
            helper.end()


class _Team(Generic[Result]):
    """This process and its helpers, with the jobs and the results.

    Attributes:
        helpers: the helpers that have not ended.
        results: each result that was not taken yet, or the error in its place, by the number of the job.
    """

    def __init__(self, jobs: Sequence[Job[Result]], codec: Codec[Result]) -> None:
        self._jobs, self._codec = jobs, codec
        self._next, self._again = 0, deque[int]()
        self.helpers: list[ForkedHelper] = []
        self.results: dict[int, Result | PackError | OSError] = {}

    def gather(self, count: int) -> None:
        """Fork helpers, as many as the system allows."""
        tasks = [lambda job=job: self._codec.pack(job.do()) for job in self._jobs]
        try:
            for _ in range(count):
                self.helpers.append(ForkedHelper(tasks, self.helpers))
        except OSError:
            return

    def share(self, end: int) -> None:
        """Give each helper its next jobs, of those before `end`."""
        for helper in list(self.helpers):
            while len(helper.waiting) < self._reserve() and self._next < min(end, len(self._jobs)):
                number = self._next
                self._next += 1
                if not self._jobs[number].is_shared:
                    self._again.append(number)
                    continue
                try:
                    helper.start(number)
                except OSError:
                    self._again.append(number)
                    self._lose(helper)
                    break

    def _reserve(self) -> int:
        """Return how many jobs a helper may have, so that all end at about the same time."""
        left = len(self._jobs) - self._next
        return min(IN_RESERVE, 1 + left // (2 * (len(self.helpers) + 1)))

    def take(self, *, wait: bool = False) -> bool:
        """Take what helpers have done, and return whether there was something."""
        ready, _, _ = select.select([each.answers for each in self.helpers], [], [], None if wait else 0)
        for helper in [each for each in self.helpers if each.answers in ready]:
            try:
                number, packed = helper.answer()
            except EOFError:
                self._lose(helper)
                continue
            self.results[number] = self._codec.unpack(packed)
        return bool(ready)

    def work(self, end: int) -> bool:
        """Do a job that is left here, or else the next one before `end`; return whether there was one."""
        if self._again:
            number = self._again.popleft()
        elif self._next < min(end, len(self._jobs)):
            number = self._next
            self._next += 1
        else:
            return False
        try:
            self.results[number] = self._jobs[number].do()
        except TOLD as error:
            self.results[number] = error
        return True

    def _lose(self, helper: ForkedHelper) -> None:
        """Go on without a helper that has ended; what it had to do is done here."""
        self._again.extend(helper.waiting)
        self.helpers.remove(helper)
        helper.end()


def _with_threads(jobs: Sequence[Job[Result]], _codec: Codec[Result], count: int) -> "InOrder[Result]":
    """Yield the results of jobs that this thread and others do."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max(count, 1)) as pool:
        try:
            for job in jobs:
                unfinished = sum(not each.done() for each in waiting)
                is_left_here = not count or unfinished > count  # one more than they work on
                waiting.append(_done_here(job) if is_left_here else pool.submit(job.do))
                while waiting and (waiting[0].done() or len(waiting) >= AHEAD):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _done_here(job: Job[Result]) -> "Future[Result]":
    """Return a job that this thread has done, or that failed."""
    done: Future[Result] = Future()
    try:
        done.set_result(job.do())
    except TOLD as error:
        done.set_exception(error)
    return done
