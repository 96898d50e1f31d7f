"""Turn the measurements into the tables people read."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measure import Series

EXPERTS_SECONDS, HELP_FACTOR = 3, 1.5


@dataclass(frozen=True)
class Claim:
    """What is promised, what was found, and whether it holds; `holds` is None if it was not measured."""

    promise: str
    found: str
    holds: bool | None


def claims(series: Mapping[str, Series]) -> list[Claim]:
    """Return every target with what was measured."""
    return [
        _at_least("big adapter: faster than llama.cpp", 5, series, ("llama.cpp big", "ollama-pack big")),
        _at_least(
            "small adapter: faster than llama.cpp", 18, series, ("llama.cpp small", "ollama-pack small")
        ),
        _experts(series),
        _within_the_floor(series),
        _memory(series),
        _help(series),
    ]


def _usable(series: Mapping[str, Series], *names: str) -> bool:
    return all(name in series and series[name].samples and not series[name].failure for name in names)


def _at_least(promise: str, target: float, series: Mapping[str, Series], names: tuple[str, str]) -> Claim:
    if not _usable(series, *names):
        return Claim(f"{promise}, at least {target:g}×", "not measured", None)
    ratio = series[names[0]].median / series[names[1]].median
    return Claim(f"{promise}, at least {target:g}×", f"{ratio:.1f}×", ratio >= target)


def _within_the_floor(series: Mapping[str, Series]) -> Claim:
    promise = "big adapter: no longer than cp + sha256sum of the result"
    if not _usable(series, "ollama-pack big", "cp", "sha256sum"):
        return Claim(promise, "not measured", None)
    sums = [copy + digest for copy, digest in zip(series["cp"].walls, series["sha256sum"].walls, strict=True)]
    ratio = series["ollama-pack big"].median / statistics.median(sums)
    return Claim(promise, f"{ratio:.2f} of {statistics.median(sums):.2f} s", ratio <= 1.0)


def _experts(series: Mapping[str, Series]) -> Claim:
    """Return whether an adapter of many small tensors takes no more than its time."""
    promise = f"36,864 tensors: at most {EXPERTS_SECONDS:g} s"
    if not _usable(series, "ollama-pack experts"):
        return Claim(promise, "not measured", None)
    median = series["ollama-pack experts"].median
    return Claim(promise, f"{median:.2f} s", median <= EXPERTS_SECONDS)


def _memory(series: Mapping[str, Series]) -> Claim:
    promise = "big adapter: peak memory at most 150 MiB"
    if not _usable(series, "ollama-pack big"):
        return Claim(promise, "not measured", None)
    peak = series["ollama-pack big"].peak
    return Claim(promise, f"{peak:.0f} MiB", peak <= 150)


def _help(series: Mapping[str, Series]) -> Claim:
    promise = f"--help: at most {HELP_FACTOR:g} times `python -c 'import click'`"
    if not _usable(series, "ollama-pack --help", "import click"):
        return Claim(promise, "not measured", None)
    ratio = series["ollama-pack --help"].median / series["import click"].median
    return Claim(promise, f"{ratio:.2f}×", ratio <= HELP_FACTOR)


def markdown(
    series: Mapping[str, Series], found: Sequence[Claim], machine: Sequence[str], rounds: int
) -> str:
    """Return the report: the promises, all figures, and the machine they were measured on."""
    verdicts = {True: "yes", False: "**no**", None: "–"}
    lines = [
        "# How fast",
        "",
        "Made by `make bench`. Adapters in the shapes of Llama-2-7B, bfloat16 to f16: *big* is all seven",
        "linear modules at rank 64 (320 MB), *small* is q and v at rank 8 (8 MB). *experts* has those of",
        "Qwen3-30B-A3B, every expert by itself at rank 1: 36,864 tensors, 104 MB. Whole processes, in turn,",
        f"median of {rounds} after a warm-up. ollama-pack's time includes the SHA-256 of the file, the proof",
        "of every number and the fsync; the others' include none of these.",
        "",
        "| promise | measured | holds |",
        "| --- | --- | --- |",
        *(f"| {claim.promise} | {claim.found} | {verdicts[claim.holds]} |" for claim in found),
        "",
        *figures(series),
        "",
        *(f"- {line}" for line in machine),
        "",
    ]
    return "\n".join(lines)


def figures(series: Mapping[str, Series]) -> list[str]:
    """Return the lines of the table of what every command took."""
    heading = ["| command | wall s | min–max | processor s | peak MiB |", "| --- | --- | --- | --- | --- |"]
    return [*heading, *map(_row, series.values())]


def _row(one: Series) -> str:
    if one.failure:
        return f"| {one.name} | failed: {one.failure[:160]} | | | |"
    walls = one.walls
    return (
        f"| {one.name} | {one.median:.3f} | {min(walls):.3f}–{max(walls):.3f} "
        f"| {one.processor:.2f} | {one.peak:.0f} |"
    )
