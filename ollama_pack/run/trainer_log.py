"""READ  trainer_state.json → the log of a training: what was measured at which step."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError
from ollama_pack.files import read_json_object
from ollama_pack.lora.peft.run_directory import step_in

TRAINER_STATE = "trainer_state.json"
MOST_POINTS = 1_000_000
Curve = tuple[tuple[float, float], ...]
"""Steps and what was measured at them, by step."""


@dataclass(frozen=True, slots=True)
class TrainerLog:
    """What a trainer wrote down.

    Attributes:
        step: the last one.
        epoch: at that step; 0 where it is not told.
        curves: name → curve: ``loss``, ``eval_loss``, ``learning_rate`` and what else was measured.
        best: directory name of the checkpoint with the best metric, empty where none was chosen.
        best_metric: its value; None without.
    """

    step: int = 0
    epoch: float = 0.0
    curves: Mapping[str, Curve] = field(default_factory=dict)
    best: str = ""
    best_metric: float | None = None

    def last(self, name: str) -> float | None:
        """Return what was measured last; None where it never was."""
        curve = self.curves.get(name, ())
        return curve[-1][1] if curve else None


def read_log(directory: Path) -> TrainerLog | None:
    """Return the log in a directory, None where there is none.

    Raises:
        InputError: it is damaged.
    """
    path = directory / TRAINER_STATE
    if not path.is_file():
        return None
    state = read_json_object(path)
    history = state.get("log_history", [])
    if not isinstance(history, list):
        raise InputError("The log is no list.", where=f"{path}: log_history")
    curves: dict[str, dict[float, float]] = {}
    for step, name, value in _measured(history):
        curves.setdefault(name, {})[step] = value
    best = state.get("best_model_checkpoint")
    steps = state.get("global_step")
    return TrainerLog(
        step=steps if type(steps) is int and steps >= 0 else 0,
        epoch=_finite(state.get("epoch")) or 0.0,
        curves={name: tuple(sorted(curve.items())) for name, curve in sorted(curves.items())},
        # Only its name counts: the rest is a path of the machine that trained.
        best=_checkpoint_in(best),
        best_metric=_finite(state.get("best_metric")),
    )


def _checkpoint_in(path: object) -> str:
    """Return the name of a checkpoint at the end of a path, empty where there is none."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] if isinstance(path, str) else ""
    return name if step_in(name) is not None else ""


def _measured(history: list[Any]) -> Iterator[tuple[float, str, float]]:
    for entry in history[:MOST_POINTS]:
        step = _finite(entry.get("step")) if isinstance(entry, Mapping) else None
        if step is None:
            continue
        for name, value in entry.items():
            number = _finite(value)
            if name != "step" and number is not None:
                yield step, name, number


def _finite(value: object) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None
