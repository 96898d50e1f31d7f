"""READ  a run → its checkpoints: how far each came, how good it was, whether training can go on from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from ollama_pack.errors import InputError, PackError
from ollama_pack.files import sha256_of_file
from ollama_pack.lora.peft.directory import MLX_FILE, PICKLE_FILE, WEIGHTS_FILE
from ollama_pack.lora.peft.run_directory import step_in, step_of
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
"""Piece of a training's state → the files it may lie in."""

NEEDED = frozenset({"weights", "optimizer", "scheduler", "log"})
"""Pieces without which a trainer starts anew; without random numbers it goes on, with other ones."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An adapter as it was after some steps.

    Attributes:
        directory: where it lies.
        step: how many there had been, by its name.
        log: what was measured until then; None where there is no log.
        weights: its file of weights; None where it has none.
        states: pieces of the training's state that are there.
        size: of all its files, in bytes.
        is_best: whether the run's log calls it the best.
        note: what is wrong with its log, else empty.
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
        """Return the name of its directory."""
        return self.directory.name

    @property
    def resumable(self) -> bool:
        """Return whether training can go on from it."""
        return not NEEDED.intersection(self.lacks)

    @property
    def lacks(self) -> tuple[str, ...]:
        """Return what of an adapter and of a training's state is not there."""
        missing = [piece for piece, _ in STATES if piece not in self.states]
        return tuple(missing if self.weights is not None else ["weights", *missing])

    def digest(self) -> str:
        """Return ``sha256:…`` of its weights, empty where it has none, or none that are whole.

        Raises:
            DestinationError: they cannot be read.
        """
        if self.weights is None:
            return ""
        try:
            if self.weights.suffix == ".safetensors":
                read_safetensors(self.weights)  # what is no adapter may be as long as it likes
        except PackError:
            return ""
        return sha256_of_file(self.weights)


def list_checkpoints(directory: Path) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run, by their steps; links to directories are none.

    Raises:
        InputError: the directory is not there or cannot be read.
    """
    try:
        found = [path for path in directory.iterdir() if step_of(path) is not None]
    except OSError as error:
        raise InputError(f"Cannot read the directory: {error.strerror}.", where=directory) from error
    seen = [_read_checkpoint(path) for path in found if path.is_dir() and not path.is_symlink()]
    ordered = sorted(seen, key=lambda each: (each.step, each.name))
    best = best_of(directory, ordered)
    return tuple(replace(each, is_best=each.name == best) for each in ordered)


def best_of(directory: Path, checkpoints: Sequence[Checkpoint]) -> str:
    """Return the name of the best checkpoint: by the log of the run, else by the latest one that says so."""
    logs = [_log_of(directory)[0], *(each.log for each in reversed(checkpoints))]
    return next((log.best for log in logs if log is not None and log.best), "")


def choose(directory: Path, which: str) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that are meant.

    Args:
        directory: of the run.
        which: a step, ``latest``, ``best`` or ``all``.

    Raises:
        InputError: there is no such checkpoint, or nothing says which is the best; tells which there are.
    """
    there = list_checkpoints(directory)
    if not there:
        raise InputError(
            "There are no checkpoints here.", where=directory, hint=f"ollama-pack inspect {directory}"
        )
    names = ", ".join(str(each.step) for each in there[-10:])
    if which == ALL:
        return there
    if which == LATEST:
        return there[-1:]
    if which == BEST:
        chosen = [each for each in there if each.is_best]
        if not chosen:
            best = best_of(directory, there)
            why = f"the best, {best}, is not there any more" if best else "the log names no best one"
            raise InputError(
                f"No checkpoint is known as the best: {why}.",
                where=directory,
                hint=f"--checkpoint with one of {names}; ollama-pack checkpoints  shows their losses",
            )
        return tuple(chosen)
    number = which.removeprefix("checkpoint-")
    step = step_in(f"checkpoint-{number}")
    chosen = [each for each in there if each.step == step]
    chosen.sort(key=lambda each: each.name != f"checkpoint-{number}")  # 007 is another one than 7
    if not chosen:
        raise InputError(
            f"There is no checkpoint {which!r:.40} here.",
            where=directory,
            hint=f"--checkpoint with one of {names}",
        )
    return tuple(chosen[:1])


def same_weights_as(weights: Path | None, checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    """Return the checkpoint whose weights are those of another file, byte for byte; None if there is none.

    Each comparison ends at the first difference. The latest are tried first.
    """
    if weights is None:
        return None
    ordered = sorted(checkpoints, key=lambda each: (each.is_best, each.step), reverse=True)
    return next((each for each in ordered if each.weights and _same_content(weights, each.weights)), None)


def weights_in(directory: Path) -> Path | None:
    """Return the file of weights in a directory, None where there is none."""
    return next((directory / name for name in WEIGHT_FILES if (directory / name).is_file()), None)


def _read_checkpoint(directory: Path) -> Checkpoint:
    log, note = _log_of(directory)
    files = list_files(directory).files
    names = [file.name for file in files if not file.name.endswith("/") and file.size]
    states = tuple(
        piece
        for piece, patterns in STATES
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
    )
    size = sum(file.size for file in files if not file.name.endswith("/"))
    return Checkpoint(directory, step_of(directory) or 0, log, weights_in(directory), states, size, note=note)


def _log_of(directory: Path) -> tuple[TrainerLog | None, str]:
    """Return a log, or why it cannot be read."""
    try:
        return read_log(directory), ""
    except InputError as error:
        return None, f"{error.where}: {error.clause}"


def _same_content(one: Path, other: Path) -> bool:
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
