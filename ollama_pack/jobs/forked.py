"""A process that is forked to do some of the jobs of this one, and is only there to be faster.

It has all that the jobs need, since it is a copy. It ends when a job fails, or for any other reason, and does
not say why: the process that asked does again what was not done, and has the error itself.
"""

import contextlib
import os
import struct
import warnings
from collections.abc import Callable, Sequence

JOB_NUMBER = struct.Struct("<q")
"""The number of a job."""

RESULT_HEAD = struct.Struct("<qq")
"""The number of a job, and the bytes of its result, which follow."""


class ForkedHelper:
    """A copy of this process that does jobs by their number.

    Args:
        jobs: what each job does; it returns the bytes of its result.
        others: the helpers that were made before this one.

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
        with warnings.catch_warnings():  # of threads: none of them holds what a helper uses
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
        """Give it a job.

        Raises:
            OSError: it has ended.
        """
        os.write(self._requests, JOB_NUMBER.pack(number))
        self.waiting.append(number)

    def answer(self) -> tuple[int, bytes]:
        """Wait for the next answer: the number of a job, and its result.

        Raises:
            EOFError: it has ended.
        """
        number, size = RESULT_HEAD.unpack(_read(self.answers, RESULT_HEAD.size))
        self.waiting.remove(number)
        return number, _read(self.answers, size)

    def end(self) -> None:
        """End it, whatever it does."""
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
    """Return so many bytes.

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
