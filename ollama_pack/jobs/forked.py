"""A forked copy of this process that does some of its jobs, only to save time.

As a copy, it has everything that the jobs need. If a job fails in it, it ends without saying why: the process
that asked does the job itself, and raises the error.
"""

import contextlib
import os
import struct
import warnings
from collections.abc import Callable, Sequence

JOB_NUMBER = struct.Struct("<q")
"""The number of a job."""

RESULT_HEAD = struct.Struct("<qq")
"""The number of a job, and the length in bytes of its result, which follows."""


class ForkedHelper:
    """A copy of this process that does jobs by their number.

    Args:
        jobs: what each job does; it returns the bytes of its result.
        others: the helpers that were made before this one, whose pipes the new process closes.

    Attributes:
        answers: the file descriptor from which its answers are read.
        waiting: the numbers of the jobs that it was given and has not answered.

    Raises:
        OSError: the system allows no further process.
    """

    def __init__(self, jobs: Sequence[Callable[[], bytes]], others: Sequence["ForkedHelper"]) -> None:
        asked, self._requests = os.pipe()
        self.answers, told = os.pipe()
        self.waiting: list[int] = []
        with warnings.catch_warnings():  # Python warns of threads: none holds a lock that a helper needs
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                self._process = os.fork()
            except OSError:
                for pipe in (asked, self._requests, self.answers, told):
                    os.close(pipe)
                raise
        if not self._process:
            try:
                for each in (*others, self):  # so that all end when the process that asks has ended
                    os.close(each._requests)
                    os.close(each.answers)
                _serve(jobs, asked, told)
            finally:
                os._exit(0)
        os.close(asked)
        os.close(told)

    def start(self, number: int) -> None:
        """Give the helper a job.

        Raises:
            OSError: the helper has ended.
        """
        os.write(self._requests, JOB_NUMBER.pack(number))
        self.waiting.append(number)

    def answer(self) -> tuple[int, bytes]:
        """Wait for the next answer: the number of a job, and its result.

        Raises:
            EOFError: the helper has ended.
        """
        number, size = RESULT_HEAD.unpack(_read(self.answers, RESULT_HEAD.size))
        self.waiting.remove(number)
        return number, _read(self.answers, size)

    def end(self) -> None:
        """End the helper, whatever it is doing."""
        os.close(self._requests)
        os.close(self.answers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process, 9)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process, 0)


def _serve(jobs: Sequence[Callable[[], bytes]], asked: int, told: int) -> None:
    """Do jobs until the process that asks has ended."""
    while True:
        try:
            (number,) = JOB_NUMBER.unpack(_read(asked, JOB_NUMBER.size))
        except EOFError:
            return
        result = jobs[number]()
        left = memoryview(RESULT_HEAD.pack(number, len(result)) + result)
        while left:
            left = left[os.write(told, left) :]


def _read(file: int, size: int) -> bytes:
    """Return exactly `size` bytes of a pipe.

    Raises:
        EOFError: there are no more.
    """
    parts = []
    while size:
        part = os.read(file, size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
