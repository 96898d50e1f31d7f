"""LOOK AT  a run: its files, checkpoints, adapter, base, and what a build would say. It writes nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import PackError
from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.lora.spectrum import Spectrum, measure
from ollama_pack.pipeline.build import prepare, render_modelfile
from ollama_pack.pipeline.request import Request
from ollama_pack.run.checkpoints import Checkpoint, list_checkpoints, same_weights_as, weights_in
from ollama_pack.run.listing import File, Tree, list_files
from ollama_pack.run.pickle_scan import SUSPICIOUS, Pickle, scan
from ollama_pack.run.trainer_log import TrainerLog, read_log

if TYPE_CHECKING:
    from ollama_pack.base.expected import ExpectedBase

MOST_SCANNED_PICKLES = 2000


@dataclass(slots=True)
class RunReport:
    """What was found in a run.

    Attributes:
        directory: of the run.
        tree: its files.
        pickles: name of a file → what it would import.
        checkpoints: by their steps.
        twin: the checkpoint that is the adapter at the top; None where none is.
        log: of the run; of its latest checkpoint where it has none.
        adapter: as read; None where it could not be.
        base: as found; None where it could not be.
        spectra: how large each ΔW is; empty where the adapter could not be read.
        vocabulary: of its tokenizer; None where it has none, or a damaged one.
        notes: what could not be read, and why.
        name: what the model would be called.
        problem: why a build would fail; None where nothing is known that speaks against it.
    """

    directory: Path
    tree: Tree
    pickles: dict[str, Pickle] = field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    twin: Checkpoint | None = None
    log: TrainerLog | None = None
    adapter: Adapter | None = None
    base: BaseModel | None = None
    spectra: tuple[Spectrum, ...] = ()
    vocabulary: Vocabulary | None = None
    notes: list[str] = field(default_factory=list)
    name: str = ""
    problem: PackError | None = None

    @property
    def suspicious(self) -> dict[str, Pickle]:
        """Return the pickles that hold what no trainer is known to write."""
        return {name: found for name, found in self.pickles.items() if found.verdict == SUSPICIOUS}


def report_on_run(request: Request) -> RunReport:
    """Return what lies in a directory, and what a build of it would come to.

    Raises:
        InputError: the directory is not there or cannot be read.
    """
    seen = RunReport(request.directory, list_files(request.directory))
    seen.pickles = pickles_of(request.directory, seen.tree)
    seen.checkpoints = list_checkpoints(request.directory)
    seen.twin = same_weights_as(weights_in(request.directory), seen.checkpoints)
    try:
        seen.log = read_log(request.directory)
    except PackError as error:
        seen.notes.append(f"the log is not read: {error.where}: {error.clause}")
    latest = (each.log for each in reversed(seen.checkpoints) if each.log is not None)
    seen.log = seen.log or next(latest, None)
    trained: ExpectedBase | None = None
    try:
        work = prepare(request, lambda stage, value: _keep(seen, stage, value))
        trained = work.trained
        render_modelfile(request, work)
        seen.name = str(request.model)
    except PackError as error:
        seen.problem = error
    if trained is not None:
        seen.vocabulary, notes = trained.vocabulary, trained.notes
    else:
        seen.vocabulary, notes = read_tokenizer(request.home)
    seen.notes += notes
    if seen.adapter is not None:
        try:
            seen.spectra = measure(seen.adapter.pairs)
        except PackError as error:
            seen.problem = seen.problem or error
    return seen


def pickles_of(directory: Path, tree: Tree) -> dict[str, Pickle]:
    """Return what the pickles of a run would import, as far as that can be seen without loading one."""
    files: list[File] = [file for file in tree.files if file.role.pickle and file.size]
    return {file.name: scan(directory / file.name) for file in files[:MOST_SCANNED_PICKLES]}


def _keep(seen: RunReport, stage: str, value: object) -> None:
    if stage == "read" and isinstance(value, Adapter):
        seen.adapter = value
    elif stage == "base" and isinstance(value, BaseModel):
        seen.base = value
