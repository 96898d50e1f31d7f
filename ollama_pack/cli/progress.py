"""How far a long step is: bars on a terminal, a plain line now and then elsewhere."""

import os
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


SHORTEST = 10_000_000
"""Steps of fewer bytes are over before anybody wonders."""

EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


class Bars:
    """Progress of steps that move bytes; call it with the step's label, bytes done and bytes in all."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty() and not os.environ.get("CI")
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last = time.monotonic()

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes are moved; `total` is 0 where nobody knows."""
        if 0 < total < SHORTEST:
            return
        if self._terminal:
            self._draw(label, done, total)
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            click.echo(f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", err=True)

    def close(self) -> None:
        """Take the bars away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._tasks.clear()

    def _draw(self, label: str, done: int, total: int) -> None:
        if self._progress is None:
            self._progress = _started()
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(label, total=total or None)
        self._progress.update(self._tasks[label], completed=done, total=total or None)


def _started() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    progress.start()
    return progress
