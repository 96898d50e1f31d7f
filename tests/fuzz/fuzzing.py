"""Gives a target its inputs, and counts what they cost: calls, time and memory."""

import contextlib
import random
import shutil
import signal
import sys
import time
import traceback
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from adapter_targets import ADAPTER_TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from mutations import mutation
from target import Target
from text_targets import TEXT_TARGETS
from wire_targets import WIRE_TARGETS

from ollama_pack.errors import InputError, PackError

TARGETS = (*ADAPTER_TARGETS, *TEXT_TARGETS, *WIRE_TARGETS)
MOST_CALLS = 3_000_000
"""Calls that reading an input of 64 kB may take. The largest of them take a tenth."""


COUNTED = 8
"""One of so many mutations has its calls counted, which takes as long as the reading itself."""

MOST_SECONDS = 60.0
"""Processor time after which an input whose calls are not counted is given up."""


class TooManyCallsError(Exception):
    """Reading an input takes more steps than its size explains."""


@dataclass
class Cost:
    """What the inputs of a target cost.

    Attributes:
        count: the number of inputs.
        refused: how many of them were refused with an error of the package.
        calls: the most calls that one took.
        slowest: the most seconds that one took.
        slowest_input: that input.
        failures: what went wrong, by where; one input of each kind.
    """

    count: int = 0
    refused: int = 0
    calls: int = 0
    slowest: float = 0.0
    slowest_input: bytes = b""
    failures: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def counted_calls():
    """Count the calls in the block, and end it by an error if there are too many."""
    calls = [0]

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            calls[0] += 1
            if calls[0] > MOST_CALLS:
                sys.setprofile(None)
                raise TooManyCallsError

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


@contextlib.contextmanager
def ended_by_a_timer():
    """End the block by an error if it takes too much processor time; count nothing."""

    def give_up(_signal: int, _frame: object) -> None:
        raise TooManyCallsError

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield [0]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def read_once(target: Target, content: bytes, place: Path, cost: Cost, *, counts: bool = True) -> None:
    """Give a target one input: it ends in a result, or in an error that names where it was found."""
    start = time.perf_counter()
    try:
        with counted_calls() if counts else ended_by_a_timer() as calls:
            target.read(content, place)
    except PackError as error:
        cost.refused += 1
        assert str(error).strip()
        if isinstance(error, InputError) and target.name not in ("names", "Go templates"):
            assert error.where
    took = time.perf_counter() - start
    cost.count += 1
    cost.calls = max(cost.calls, calls[0])
    if took > cost.slowest:
        cost.slowest, cost.slowest_input = took, content
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def fuzz(target: Target, number: int) -> Cost:
    """Give a target a number of inputs, and return what they cost; hypothesis shrinks one that fails."""
    cost = Cost()
    with TemporaryDirectory(prefix="fuzz-") as folder:
        place = Path(folder)

        @settings(
            max_examples=number,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(content=target.inputs)
        def run(content: bytes) -> None:
            read_once(target, content, place, cost)

        run()
    return cost


def fuzz_on(target: Target, number: int) -> Cost:
    """Give a target mutations, and go on after a failure; keep one input of each kind of failure."""
    cost, seeds = Cost(), tuple(target.seeds())
    with TemporaryDirectory(prefix="fuzz-") as folder:
        for at in range(number):
            content = mutation(random.Random(at), seeds, is_json=target.is_json)
            try:
                read_once(target, content, Path(folder), cost, counts=at % COUNTED == 0)
            except Exception as error:  # noqa: BLE001 — whatever it is, it is a finding
                last = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
                cost.failures.setdefault(kind, f"{error!r:.200}\n  mutation {at}: {content[:300]!r}")
    return cost


def peak_memory(target: Target, content: bytes) -> int:
    """Return the most bytes that Python allocates while one input is read."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        tracemalloc.start()
        try:
            with contextlib.suppress(PackError):
                target.read(content, Path(folder))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
