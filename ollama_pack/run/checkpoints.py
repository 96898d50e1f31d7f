"""Lists the checkpoints of a run: the step and losses of each, and whether training can resume from it."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from ollama_pack.disk.files import require_directory, sha256_of_file
from ollama_pack.errors import InputError, PackError, UsageError
from ollama_pack.lora.peft.run_directory import MLX_FILE, PICKLE_FILE, WEIGHTS_FILE, step_in, step_of
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.run.listing import list_files
from ollama_pack.run.trainer_log import TrainerLog, read_log

WEIGHT_FILES = (WEIGHTS_FILE, PICKLE_FILE, MLX_FILE)
LATEST, BEST, ALL = "latest", "best", "all"
COMPARE_CHUNK = 1 << 20
STATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("optimizer", ("optimizer.*", "optimizer_*/*", "global_step*/*", "pytorch_model_fsdp*")),
    ("scheduler", ("scheduler.*", "global_step*/*")),
    ("random numbers", ("rng_state*.pth", "random_states_*.pkl")),
    ("log", ("trainer_state.json",)),
)
"""Part of the training state → patterns of the files that may hold it, below the checkpoint's directory."""

NEEDED = frozenset({"weights", "optimizer", "scheduler", "log"})
"""Parts that are needed to resume. Without the random numbers, training resumes with other random numbers."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An adapter as it was after some training steps.

    Attributes:
        directory: the directory of the checkpoint.
        step: the number of training steps, from the name of the directory.
        log: the trainer's log until this step, or None if there is none or it is damaged.
        weights: the file of weights, or None if there is none.
        states: the parts of the training state that are present.
        size: the size of all files together, in bytes.
        is_best: whether the log calls this checkpoint the best.
        note: what is wrong with the log, or an empty string.
    """

    directory: Path
    step: int
    log: TrainerLog | None
    weights: Path | None
    states: tuple[str, ...]
    size: int
    is_best: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """Return the name of the directory, ``checkpoint-420``."""
        return self.directory.name

    @property
    def resumable(self) -> bool:
        """Return whether training can resume from this checkpoint."""
        return not NEEDED.intersection(self.lacks)

    @property
    def lacks(self) -> tuple[str, ...]:
        """Return the parts of the adapter and of the training state that are missing."""
        missing = [part for part, _ in STATES if part not in self.states]
        return tuple(missing if self.weights is not None else ["weights", *missing])

    def digest(self) -> str:
        """Return the digest of the weights, ``sha256:…``, or an empty string if they are missing or damaged.

        Raises:
            DestinationError: the file cannot be read.
        """
        if self.weights is None:
            return ""
        try:
            if self.weights.suffix == ".safetensors":
                # The header is checked first, so that a huge file that is not an adapter is not hashed.
                read_safetensors(self.weights)
        except PackError:
            return ""
        return sha256_of_file(self.weights)


def list_checkpoints(directory: Path, skip: Callable[[Path], bool] | None = None) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run, ordered by step. Links to directories are ignored.

    Args:
        directory: the directory of the run.
        skip: returns whether a directory in a checkpoint is left out of its size; None to leave out none.

    Raises:
        InputError: the directory does not exist (a `UsageError`) or cannot be read.
    """
    require_directory(directory)
    try:
        paths = [path for path in directory.iterdir() if step_of(path) is not None]
    except OSError as error:
        raise InputError(f"Cannot read the directory: {error.strerror}.", where=directory) from error
    unordered = [_read_checkpoint(path, skip) for path in paths if path.is_dir() and not path.is_symlink()]
    ordered = sorted(unordered, key=lambda each: (each.step, each.name))
    best = best_of(directory, ordered)
    return tuple(replace(each, is_best=each.name == best) for each in ordered)


def best_of(directory: Path, checkpoints: Sequence[Checkpoint]) -> str:
    """Return the name of the best checkpoint, or an empty string if no log names one.

    The log of the run counts first, then the log of the latest checkpoint that names a best one.
    """
    logs = [_log_of(directory)[0], *(each.log for each in reversed(checkpoints))]
    return next((log.best for log in logs if log is not None and log.best), "")


def choose(directory: Path, which: str) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that ``--checkpoint`` selects.

    Args:
        directory: the directory of the run.
        which: a step, ``latest``, ``best`` or ``all``.

    Raises:
        UsageError: there is no such checkpoint, or no log names the best one. The hint lists the steps.
    """
    available = list_checkpoints(directory)
    if not available:
        raise UsageError(
            "This directory has no checkpoints.",
            where=directory,
            hint=f"ollama-pack inspect {shlex.quote(str(directory))}",
            code="no-such-checkpoint",
        )
    steps = ", ".join(str(each.step) for each in available[-10:])
    if which == ALL:
        return available
    if which == LATEST:
        return available[-1:]
    if which == BEST:
        chosen = [each for each in available if each.is_best]
        if not chosen:
            best = best_of(directory, available)
            why = f"it is {best}, which does not exist any more" if best else "no log says which one it is"
            raise UsageError(
                f"The best checkpoint cannot be used: {why}.",
                where=directory,
                hint=f"--checkpoint with one of {steps}; "
                f"ollama-pack checkpoints {shlex.quote(str(directory))}  shows their losses",
                code="no-such-checkpoint",
            )
        return tuple(chosen)
    number = which.removeprefix("checkpoint-")
    step = step_in(f"checkpoint-{number}")
    chosen = [each for each in available if each.step == step]
    # checkpoint-7 and checkpoint-007 may both exist; the one that is spelled as requested comes first.
    chosen.sort(key=lambda each: each.name != f"checkpoint-{number}")
    if not chosen:
        raise UsageError(
            f"There is no checkpoint {which!r:.40} in this directory.",
            where=directory,
            hint=f"--checkpoint with one of {steps}",
            code="no-such-checkpoint",
        )
    return tuple(chosen[:1])


def same_weights_as(weights: Path | None, checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    """Return the checkpoint whose file of weights has the same bytes as `weights`, or None if there is none.

    The best checkpoint is compared first, then the latest ones, because trainers copy these to the top.
    """
    if weights is None:
        return None
    ordered = sorted(checkpoints, key=lambda each: (each.is_best, each.step), reverse=True)
    return next((each for each in ordered if each.weights and _same_content(weights, each.weights)), None)


def weights_in(directory: Path) -> Path | None:
    """Return the file of weights in a directory, or None if there is none."""
    return next((directory / name for name in WEIGHT_FILES if (directory / name).is_file()), None)


def _read_checkpoint(directory: Path, skip: Callable[[Path], bool] | None) -> Checkpoint:
    """Return what a checkpoint's directory holds; whether it is the best is not known yet."""
    log, note = _log_of(directory)
    files = list_files(directory, skip).files
    names = [file.name for file in files if not file.name.endswith("/") and file.size]
    states = tuple(
        part
        for part, patterns in STATES
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
    )
    size = sum(file.size for file in files if not file.name.endswith("/"))
    return Checkpoint(directory, step_of(directory) or 0, log, weights_in(directory), states, size, note=note)


def _log_of(directory: Path) -> tuple[TrainerLog | None, str]:
    """Return the log in a directory or None, and why it cannot be read or an empty string."""
    try:
        return read_log(directory), ""
    except InputError as error:
        return None, f"{error.where}: {error.clause}"


def _same_content(one: Path, other: Path) -> bool:
    """Return whether two files have the same bytes; False if one of them cannot be read."""
    try:
        if one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as left, other.open("rb") as right:
            while chunk := left.read(COMPARE_CHUNK):
                if right.read(COMPARE_CHUNK) != chunk:
                    return False
    except OSError:
        return False
    return True
