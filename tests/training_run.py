"""Training runs made for tests: checkpoints with the files a trainer leaves, without a trainer."""

import json
from pathlib import Path
from typing import Any

from recipes import write_adapter

STATE = ("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state.pth", "training_args.bin")


def log_until(step: int, *, best: str = "") -> dict[str, Any]:
    """Return what the Trainer writes down until a step: a loss every step, an evaluation every ten."""
    history: list[dict[str, float]] = []
    for at in range(1, step + 1):
        history.append({"step": at, "epoch": at / 10, "loss": 3 / at, "learning_rate": 1e-3 / at})
        if at % 10 == 0:
            history.append({"step": at, "epoch": at / 10, "eval_loss": 2 + abs(at - 20) / 10})
    state = {"global_step": step, "epoch": step / 10, "log_history": history}
    return {**state, "best_model_checkpoint": best or None, "best_metric": 2.0 if best else None}


def write_run(directory: Path, steps: tuple[int, ...] = (10, 20, 30), **fields: Any) -> Path:
    """Write a run with checkpoints; the last one is the adapter at its top, the one at 20 is the best."""
    for step in steps:
        inner = write_adapter(directory / f"checkpoint-{step}", seed=step, **fields)
        best = "/home/somebody/ada-lora/checkpoint-20" if step >= 20 else ""
        (inner / "trainer_state.json").write_text(json.dumps(log_until(step, best=best)))
        for name in STATE:
            (inner / name).write_bytes(b"\x80\x02}q\x00.")
    write_adapter(directory, seed=steps[-1], **fields)
    return directory
