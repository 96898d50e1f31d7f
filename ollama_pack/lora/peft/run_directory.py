"""The names that a Trainer gives its directories: a run, and ``checkpoint-N`` below it."""

import re
from pathlib import Path

_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})", re.IGNORECASE)


def step_of(directory: Path) -> int | None:
    """Return the step in the name of a checkpoint's directory; None for any other directory."""
    return step_in(directory.name)


def step_in(name: str) -> int | None:
    """Return the step that the name of a checkpoint tells, ``checkpoint-3`` → 3; None for any other name."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else None


def run_of(directory: Path) -> Path | None:
    """Return the run that a directory is a checkpoint of; None for any other directory."""
    named = directory if directory.name not in ("", "..") else directory.resolve()
    return named.parent if step_of(named) is not None else None
