"""Puts the eval loss of a trainer beside the loss that `test` measures, and says why the two may differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_pack.pipeline.output_dir import adapter_home
from ollama_pack.pipeline.trial.cases import FigureCase
from ollama_pack.pipeline.trial.training_data import find_eval_settings
from ollama_pack.run.trainer_eval import TrainerEval, trainer_eval


@dataclass(frozen=True, slots=True)
class TrainerLoss:
    """The eval loss of a trainer.

    Attributes:
        measured: the loss, and its step.
        unlike: why it is another measure than the loss over the files of cases, as clauses.
    """

    measured: TrainerEval
    unlike: tuple[str, ...]


def loss_of_trainer(directory: Path, figures: Sequence[FigureCase]) -> TrainerLoss | None:
    """Return what the trainer measured, or None if there is no log, or nothing to compare it with.

    Args:
        directory: the directory of an adapter, of a checkpoint, or of a build beside it.
        figures: the cases about figures.

    Raises:
        InputError: the log is damaged.
    """
    if not figures or not directory.is_dir():
        return None
    home = adapter_home(directory)
    measured = trainer_eval(home)
    return TrainerLoss(measured, tuple(_unlike(home, figures))) if measured is not None else None


def _unlike(home: Path, figures: Sequence[FigureCase]) -> Iterator[str]:
    """Yield why a trainer's eval loss is another measure than the loss over files of cases."""
    known, files = find_eval_settings(home), {each.file.name for each in figures}
    if known.evaluated:
        others = sorted(name for name in known.evaluated if Path(name).name not in files)
        if others:
            yield f"it was measured on {', '.join(others)}"
    elif known.split:
        yield "it was measured on a part of the training data that was set aside"
    else:
        yield "nothing says which data it was measured on"
    if known.all_tokens:
        yield "it counts the tokens of the prompts too, and not the assistant's alone"
    elif known.all_tokens is None:
        yield "nothing says whether it counts the assistant's tokens alone, as this loss does"
