"""Collects what is known about a training run, and whether a build would succeed. Nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import PackError, UsageError
from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.lora.spectrum import Spectrum, measure
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.pipeline.decide_modelfile import render_modelfile
from ollama_pack.pipeline.inputs import BuildInputs, resolve_inputs
from ollama_pack.pipeline.prepare import BuildPlan, prepare
from ollama_pack.pipeline.prompt.verdict import (
    PromptVerdict,
    reason_of_prompt,
    renderer_beside,
    require_prompt,
)
from ollama_pack.pipeline.prompt.view import PromptView, pair_of_build, view_prompts
from ollama_pack.pipeline.request import Request
from ollama_pack.run.checkpoints import Checkpoint, list_checkpoints, same_weights_as, weights_in
from ollama_pack.run.listing import File, Tree, list_files
from ollama_pack.run.pickle_scan import SUSPICIOUS, Pickle, scan
from ollama_pack.run.trainer_log import TrainerLog, read_log

if TYPE_CHECKING:
    from ollama_pack.base.expected import ExpectedBase
    from ollama_pack.pipeline.build import Outcome

MOST_SCANNED_PICKLES = 2000


@dataclass(slots=True)
class RunReport:
    """What is known about a training run.

    Attributes:
        directory: the directory of the run.
        tree: the files of the run.
        pickles: name of a file → what its pickle would import.
        checkpoints: the checkpoints, ordered by step.
        twin: the checkpoint with the same weights as the adapter at the top, or None if there is none.
        log: the log of the run, or of its latest checkpoint with a log, or None if there is no log.
        adapter: the adapter, or None if it cannot be read.
        base: the base, or None if it cannot be found.
        spectra: the size and the singular values of each ΔW. It is empty if the adapter cannot be read.
        vocabulary: the tokens of the tokenizer, or None if there is no tokenizer or it is damaged.
        prompts: the prompts of the model that a build would make, or None if they were not compared.
        prompt_note: why the prompts were not compared, as a clause. It is empty if they were compared, or if
            the build would fail earlier.
        notes: what could not be read and why, one sentence each.
        name: the name that a build would give the model, or an empty string if it would fail.
        problem: why a build would fail, or None if no reason is known.
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
    prompts: PromptView | None = None
    prompt_note: str = ""
    notes: list[str] = field(default_factory=list)
    name: str = ""
    problem: PackError | None = None

    @property
    def suspicious(self) -> dict[str, Pickle]:
        """Return the pickles with imports that no trainer is known to write."""
        return {name: pickle for name, pickle in self.pickles.items() if pickle.verdict == SUSPICIOUS}


def report_on_run(
    request: Request, skip: Callable[[Path], bool] | None = None, made: "Outcome | None" = None
) -> RunReport:
    """Return what is known about a training run, and whether a build of it would succeed.

    Args:
        request: the build that would be made of the run.
        skip: returns whether a directory of the run is not listed; None to list all.
        made: the outcome of that build, if it was run; then what it read is not read again, and the prompts
            are not compared.

    Raises:
        InputError: the directory does not exist or cannot be read.
    """
    report = RunReport(request.directory, list_files(request.directory, skip))
    report.pickles = scan_pickles(request.directory, report.tree)
    report.checkpoints = list_checkpoints(request.directory, skip)
    report.twin = same_weights_as(weights_in(request.directory), report.checkpoints)
    try:
        report.log = read_log(request.directory)
    except PackError as error:
        report.notes.append(f"the training log cannot be read: {error.where}: {error.clause}")
    latest = (each.log for each in reversed(report.checkpoints) if each.log is not None)
    report.log = report.log or next(latest, None)
    if made is None:
        _try_to_build(report, request)
    else:
        report.adapter, report.base, report.name = made.work.adapter, made.work.base, str(made.inputs.name)
        report.vocabulary = made.work.trained.vocabulary
        report.notes += (*made.work.warnings, *made.work.trained.notes)
    if report.adapter is not None:
        try:
            # A pair whose size comes from the base (`fit`) is not measured.
            report.spectra = measure(pair for pair in report.adapter.pairs if pair.fit is None)
        except PackError as error:
            report.problem = report.problem or error
    return report


def _try_to_build(report: RunReport, request: Request) -> None:
    """Store what a build learns before it writes anything, up to the fault that ends it, if there is one."""
    expected: ExpectedBase | None = None

    def keep(stage: str, value: object) -> None:
        _keep(report, stage, value)

    home = request.directory
    try:
        inputs = resolve_inputs(request)
        home = inputs.home
        work = prepare(inputs, keep)
        expected = work.trained
        _compare_prompts(report, inputs, work, render_modelfile(inputs, work, keep))
        report.name = str(inputs.name)
    except PackError as error:
        report.problem = error
    if expected is not None:
        report.vocabulary, notes = expected.vocabulary, expected.notes
    else:
        report.vocabulary, notes = read_tokenizer(home)
    report.notes += notes


def _compare_prompts(report: RunReport, inputs: BuildInputs, work: BuildPlan, modelfile: Modelfile) -> None:
    """Store the prompts that a build would give the model; prompts that cannot be compared are no fault.

    Raises:
        ProofError: the build would fail because of its prompts.
    """
    try:
        with renderer_beside(inputs.home) as renderer:
            pair = pair_of_build(inputs, work, modelfile, renderer)
            report.prompts = view = view_prompts(pair, renderer)
    except PackError as error:
        # A UsageError means that there is no chat template; its place is the run, which the reader knows.
        is_missing = isinstance(error, UsageError)
        report.prompt_note = error.clause if is_missing else reason_of_prompt(error)
        return
    if pair.problem is not None:
        raise pair.problem
    if inputs.request.strict:
        require_prompt(PromptVerdict(view.proof.result, difference=view.proof.difference), inputs.home)


def scan_pickles(directory: Path, tree: Tree) -> dict[str, Pickle]:
    """Return, by file name, what the pickles of a run would import. None of them is loaded."""
    files: list[File] = [file for file in tree.files if file.role.pickle and file.size]
    return {file.name: scan(directory / file.name) for file in files[:MOST_SCANNED_PICKLES]}


def _keep(report: RunReport, stage: str, value: object) -> None:
    """Store the result of a stage of the build, so that it is known even if a later stage fails."""
    if stage == "read" and isinstance(value, Adapter):
        report.adapter = value
    elif stage == "base" and isinstance(value, BaseModel):
        report.base = value
    elif stage in ("author", "warning"):
        report.notes.append(str(value))
