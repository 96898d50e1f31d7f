"""What a trainer measured on held-out data: the last eval loss of an adapter, from its log."""

from dataclasses import dataclass
from pathlib import Path

from ollama_pack.run.checkpoints import list_checkpoints, same_weights_as, weights_in
from ollama_pack.run.trainer_log import TrainerLog, read_log

EVAL_LOSS = "eval_loss"


@dataclass(frozen=True, slots=True)
class TrainerEval:
    """The last eval loss of an adapter.

    Attributes:
        loss: the loss, per token.
        step: the step at which it was measured.
    """

    loss: float
    step: int


def trainer_eval(directory: Path) -> TrainerEval | None:
    """Return the last eval loss of the adapter in a directory, or None if no log has one.

    An adapter at the top of a run may be its best checkpoint, not its last one. So the log of the checkpoint
    with the same weights counts more than the log at the top.

    Raises:
        InputError: the log is damaged.
    """
    twin = same_weights_as(weights_in(directory), list_checkpoints(directory))
    logs = (twin.log if twin is not None else None, read_log(directory))
    return next((found for log in logs if log is not None and (found := _last_eval(log))), None)


def _last_eval(log: TrainerLog) -> TrainerEval | None:
    """Return the last eval loss of a log."""
    curve = log.curves.get(EVAL_LOSS, ())
    return TrainerEval(curve[-1][1], int(curve[-1][0])) if curve else None
