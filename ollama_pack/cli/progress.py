"""Shows the progress of long steps: bars on a terminal, else a plain line from time to time."""

import os
import sys
import time
from typing import TYPE_CHECKING

from ollama_pack.cli.say import say, terminal_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


SHORTEST = 10_000_000
"""Steps of fewer bytes are too short for a progress bar."""

EVERY = 10.0
"""Seconds between two plain lines."""


class Bars:
    """Shows the progress of steps that move bytes."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty() and not os.environ.get("CI")
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last = time.monotonic()

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes are moved; a `total` of 0 means that it is unknown."""
        if 0 < total < SHORTEST:
            return
        if self._terminal:
            self._draw(label, done, total)
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            say(f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", err=True)

    def close(self) -> None:
        """Remove the bars."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._tasks.clear()

    def _draw(self, label: str, done: int, total: int) -> None:
        """Update the bar of a step, or add it."""
        if self._progress is None:
            self._progress = _started()
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(terminal_line(label), total=total or None)
        self._progress.update(self._tasks[label], completed=done, total=total or None)


def _started() -> "Progress":
    """Return a running progress display; ``rich`` is imported only if it is needed."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),  # a daemon's status is in it
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    progress.start()
    return progress
