"""Fuzzes every target at length, each in its own process, and prints a table: ``make fuzz N=1000000``."""

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]
MADE_ANEW = 5
"""One of so many inputs is made by hypothesis, where the target has words for that."""

HEADING = "| target | inputs | refused | most calls | peak memory | slowest | slowest input |"


def say(text: str) -> None:
    """Write a line at once, so that a run of an hour can be watched."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_one(name: str, number: int) -> int:
    """Fuzz one target in this process, print its line of the table, and return the number of its findings."""
    from fuzzing import TARGETS, fuzz, fuzz_on

    target = next(each for each in TARGETS if each.name == name)
    fuzz(target, 10)  # what is imported when it is used is no memory of an input
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made_anew = number // MADE_ANEW if target.words else 0
    cost = fuzz_on(target, number - made_anew)
    count, refused = cost.count, cost.refused
    if made_anew:
        more = fuzz(target, made_anew)
        count, refused = count + more.count, refused + more.refused
        cost = max(cost, more, key=lambda each: each.slowest)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    slowest = f"{cost.slowest * 1e3:.0f} ms | {cost.slowest_input[:24]!r}, {len(cost.slowest_input)} bytes"
    say(f"| {name} | {count} | {refused} | {cost.calls} | {grown} MB | {slowest} |")
    for kind, what in cost.failures.items():
        say(f"FINDING in {name}: {kind}: {what}")
    return len(cost.failures)


def run_all(number: int) -> int:
    """Fuzz every target with its share of the inputs; return how many targets failed."""
    from fuzzing import TARGETS

    whole = sum(target.share for target in TARGETS)
    say(f"{HEADING}\n|{'---|' * 7}")
    failed = 0
    for target in TARGETS:
        count = max(1, round(number * target.share / whole))
        command = [sys.executable, __file__, target.name, str(count)]
        ran = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if ran.returncode:
            failed += 1
            say(ran.stderr[-6000:])
    return failed


if __name__ == "__main__":
    os.environ.setdefault("OLLAMA_HOST", "127.0.0.1:9")
    if len(sys.argv) > 2:
        sys.exit(min(run_one(sys.argv[1], int(sys.argv[2])), 1))
    sys.exit(min(run_all(int(sys.argv[1])), 1))
