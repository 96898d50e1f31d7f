"""Reads ``trainer_state.json``, the log in which transformers' Trainer records its measurements by step."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import LARGEST_JSON, read_json_object
from ollama_pack.errors import InputError
from ollama_pack.lora.peft.run_directory import step_in

TRAINER_STATE = "trainer_state.json"
MOST_ENTRIES = 1_000_000
"""Number of log entries that are read."""

Curve = tuple[tuple[float, float], ...]
"""Pairs of step and value, ordered by step."""


@dataclass(frozen=True, slots=True)
class TrainerLog:
    """The measurements of a training.

    Attributes:
        step: the number of the last step.
        epoch: the epoch at the last step, or 0 if the log does not say it.
        curves: name → curve, for ``loss``, ``eval_loss``, ``learning_rate`` and everything else measured.
        best: the directory name of the checkpoint with the best metric, or an empty string if none was
            chosen.
        best_metric: the value of the best metric, or None if no checkpoint was chosen.
    """

    step: int = 0
    epoch: float = 0.0
    curves: Mapping[str, Curve] = field(default_factory=dict)
    best: str = ""
    best_metric: float | None = None

    def last(self, name: str) -> float | None:
        """Return the last value of a curve, or None if there is no such curve."""
        curve = self.curves.get(name, ())
        return curve[-1][1] if curve else None


def read_log(directory: Path) -> TrainerLog | None:
    """Return the log in a directory, or None if there is none.

    Raises:
        InputError: the log is damaged.
    """
    path = directory / TRAINER_STATE
    if not path.is_file():
        return None
    state = read_json_object(path, LARGEST_JSON)
    history = state.get("log_history", [])
    if not isinstance(history, list):
        raise InputError("The log is not a list.", where=f"{path}: log_history")
    curves: dict[str, dict[float, float]] = {}
    for step, name, value in _measured(history):
        curves.setdefault(name, {})[step] = value
    best = state.get("best_model_checkpoint")
    steps = state.get("global_step")
    return TrainerLog(
        step=steps if type(steps) is int and steps >= 0 else 0,
        epoch=_finite(state.get("epoch")) or 0.0,
        curves={name: tuple(sorted(curve.items())) for name, curve in sorted(curves.items())},
        # Only the name is kept, because the path names directories of the machine that trained.
        best=_checkpoint_in(best),
        best_metric=_finite(state.get("best_metric")),
    )


def _checkpoint_in(path: object) -> str:
    """Return the name of the checkpoint at the end of a path, or an empty string if there is none."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] if isinstance(path, str) else ""
    return name if step_in(name) is not None else ""


def _measured(history: list[Any]) -> Iterator[tuple[float, str, float]]:
    """Yield step, name and value of every measurement, and skip what is not a finite number."""
    for entry in history[:MOST_ENTRIES]:
        step = _finite(entry.get("step")) if isinstance(entry, Mapping) else None
        if step is None:
            continue
        for name, value in entry.items():
            number = _finite(value)
            if name != "step" and number is not None:
                yield step, name, number


def _finite(value: object) -> float | None:
    """Return `value` as a float, or None if it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None
