"""Builds a model for Ollama from an adapter directory. Start reading here.

`build` resolves the request, reads the adapter and finds its base, plans the GGUF LoRA file, renders the
Modelfile, writes the GGUF file and proves its numbers, packages everything and delivers it. The other
functions are its steps.
"""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.file_digest import FileDigest
from ollama_pack.deliver.package import Receipt
from ollama_pack.disk.files import Note, Progress, remove_stale_drafts
from ollama_pack.disk.locks import folder_lock
from ollama_pack.errors import DestinationError
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.file import write_modelfile
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.pipeline.common_name import require_free_name
from ollama_pack.pipeline.decide_modelfile import decide_modelfile, mark_prompt, warn_of_format
from ollama_pack.pipeline.form import make_built_package, plan_package, with_planned_size, write_weights
from ollama_pack.pipeline.inputs import (
    BuildInputs,
    resolve_inputs,
)
from ollama_pack.pipeline.load_gate import load_gate, loads_here
from ollama_pack.pipeline.lock import (
    describe_base_change,
    digest_if_recorded,
    digest_sources,
    write_lock,
)
from ollama_pack.pipeline.output_dir import require_own_output_dir
from ollama_pack.pipeline.prepare import BaseReceiver, BuildPlan, as_found, prepare, silent
from ollama_pack.pipeline.prompt.gate import prompt_gate
from ollama_pack.pipeline.prompt.plan import plan_prompt
from ollama_pack.pipeline.prompt.verdict import PromptVerdict, renderer_beside, require_prompt
from ollama_pack.pipeline.request import Request
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.deliver.package import DeliveryPlan, Package
    from ollama_pack.pipeline.merging.merge import MergedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of `build`.

    Attributes:
        inputs: what the request was resolved to.
        work: what was decided before anything was written.
        lora: the GGUF LoRA file, or None if the adapter was merged into its base.
        merged: the merged GGUF, or None if the adapter is a file of its own.
        report: the result of the proof of the numbers in that file.
        modelfile: the path of Modelfile.txt.
        lock: the path of the lock file, which records what the model was made of.
        receipt: the receipt of the delivery.
        load: the result of the load proof, or None if it was not made.
        rendered: the comparison with the prompts that the daemon renders, or None if it was not made.
        prompt: the verdict on whether the prompts are those that the model was trained with.
        base_change: how the weights of the base changed since the last build, or an empty text.

    Example:
        >>> from ollama_pack import Request, build
        >>> outcome = build(Request(directory="ada-lovelace-lora", base="smollm2:135m", via="folder"))
        >>> outcome.lora.path.name, outcome.modelfile.name, outcome.lock.name
        ('adapter_model.gguf', 'Modelfile.txt', 'ollama-pack.lock')
    """

    inputs: BuildInputs
    work: BuildPlan
    lora: LoraFile | None
    report: ProofResult
    modelfile: Path
    lock: Path
    receipt: Receipt
    load: ProofResult | None = None
    rendered: ProofResult | None = None
    prompt: PromptVerdict = field(default_factory=PromptVerdict)
    base_change: str = ""
    merged: "MergedFile | None" = None


def build(
    request: Request,
    note: Note = silent,
    progress: Progress | None = None,
    *,
    ahead: FileDigest | None = None,
) -> Outcome:
    """Make a model that Ollama runs from an adapter directory, and deliver it.

    Args:
        request: what the user asks for.
        note: called after each stage, with the name of the stage and the value that it made.
        progress: called while bytes are read, written or sent.
        ahead: a digest that a thread computes already; it is used if its file is the base.

    Raises:
        PackError: one of its subclasses says what is wrong. If the delivery failed, the model that had the
            name before still has it, or is kept as a version.

    Example:
        >>> from ollama_pack import Request, build
        >>> outcome = build(Request(directory="ada-lovelace-lora", base="smollm2:135m", via="folder"))
        >>> outcome.receipt.name
        'ada-lovelace'
    """
    inputs = resolve_inputs(request)
    with folder_lock(inputs.output_dir, progress), contextlib.ExitStack() as running:

        def begin(digest: FileDigest) -> FileDigest:
            begun = ahead.instead_of(digest) if ahead is not None else None
            return begun or running.enter_context(digest)

        receive: BaseReceiver = as_found
        if request.merge:
            from ollama_pack.pipeline.merging.daemon_base import receiving_bases

            bases = receiving_bases(inputs.locations, inputs.output_dir, note, progress)
            receive = running.enter_context(bases)
        return _build_into_folder(inputs, note, progress, begin, receive)


def _build_into_folder(
    inputs: BuildInputs,
    note: Note,
    progress: Progress | None,
    begin: Callable[[FileDigest], FileDigest],
    receive: BaseReceiver,
) -> Outcome:
    """Build into the output folder, which no other process changes meanwhile."""
    work, modelfile, prompt = _decide(inputs, note, begin, receive)
    remove_stale_drafts(inputs.output_dir)
    weights, report = write_weights(inputs, work, note, progress)
    path = inputs.output_dir / MODELFILE_NAME
    write_modelfile(modelfile, path, note, known=digest_if_recorded(inputs.output_dir, work.earlier))
    package = make_built_package(inputs, work, modelfile, weights)
    sources = digest_sources(inputs, work.adapter, work.digests)
    write_lock(inputs.output_dir, package, modelfile, sources)
    proofs: list[ProofResult] = []

    def proved(stage: str, value: object) -> None:
        proofs.extend([value] if isinstance(value, ProofResult) else [])
        note(stage, value)

    _load_here(inputs, package, work, proved)
    gate = load_gate(inputs.request, proved)
    package = replace(package, gate=gate and prompt_gate(gate, prompt, proved, strict=inputs.request.strict))
    receipt = _deliver(inputs, package, progress)
    change = work.base_change or describe_base_change(
        work.earlier, work.base.tag, blob=receipt.base_blob, manifest=receipt.base_manifest
    )
    if change and not work.base_change:
        receipt = replace(receipt, lines=(*receipt.lines, change))
    note("register", receipt)
    lock = write_lock(inputs.output_dir, package, modelfile, sources, receipt)
    by_name = {each.proof: each for each in proofs}
    return Outcome(
        inputs=inputs,
        work=work,
        lora=weights if isinstance(weights, LoraFile) else None,
        merged=None if isinstance(weights, LoraFile) else weights,
        report=report,
        modelfile=path,
        lock=lock,
        receipt=receipt,
        load=by_name.get("load"),
        rendered=by_name.get("rendered"),
        prompt=prompt,
        base_change=change,
    )


def _deliver(inputs: BuildInputs, package: "Package", progress: Progress | None) -> "Receipt":
    """Deliver a package; if that fails, the hint of the error has the command that continues."""
    from ollama_pack.deliver import choose

    try:
        return choose.deliver(package, inputs.locations, via=inputs.request.via, progress=progress)
    except DestinationError as error:
        kept = f"{_register_command(inputs)}  continues after that; the files are kept"
        hint = f"{error.hint}\n       {kept}" if error.hint else kept
        raise DestinationError(error.what, where=error.where, hint=hint, code=error.code) from error


def _load_here(inputs: BuildInputs, package: "Package", work: BuildPlan, note: Note) -> None:
    """Let llama.cpp load the model, if the user asks for that and no daemon will do it."""
    request, locations = inputs.request, inputs.locations
    if loads_here(request, locations):
        from ollama_pack.base.installed import base_with_file
        from ollama_pack.pipeline.load_here import prove_load_here

        file = base_with_file(locations, work.base).gguf
        note("proof", prove_load_here(package, file, allow_noop=request.allow_noop))


def plan_build(request: Request, note: Note = silent) -> "tuple[BuildPlan, DeliveryPlan]":
    """Return what `build` would do, without writing anything.

    The weights are not converted, so the digest of the GGUF file is not known yet.

    Raises:
        PackError: `build` would raise it, unless only the conversion of the weights finds the error.

    Example:
        >>> from ollama_pack import Request, plan_build
        >>> request = Request(directory="ada-lovelace-lora", base="smollm2:135m", via="folder")
        >>> decided, delivery = plan_build(request)
        >>> delivery.name, decided.plan.arch
        ('ada-lovelace', 'llama')
    """
    from ollama_pack.deliver import choose

    inputs = resolve_inputs(request)
    receive: BaseReceiver = as_found
    if request.merge:
        from ollama_pack.pipeline.merging.daemon_base import looking_for_bases

        receive = looking_for_bases(inputs.locations, note)
    work, modelfile, _ = _decide(inputs, note, receive=receive)
    package = with_planned_size(inputs, work, plan_package(inputs, work, modelfile))
    return work, choose.plan_delivery(package, inputs.locations, via=request.via)


def _decide(
    inputs: BuildInputs,
    note: Note,
    begin: Callable[[FileDigest], FileDigest] | None = None,
    receive: BaseReceiver = as_found,
) -> tuple[BuildPlan, Modelfile, PromptVerdict]:
    """Decide all of a build, and compare its prompts, before anything is written.

    Raises:
        PackError: nothing can be built; with `strict` also if a prompt differs.
    """
    request = inputs.request
    require_own_output_dir(inputs.output_dir)
    with renderer_beside(inputs.home) as renderer:
        work = prepare(inputs, note, begin, receive)
        work, modelfile = decide_modelfile(inputs, work, note)
        require_free_name(request, inputs.name, inputs.locations, work.earlier)
        modelfile, verdict = plan_prompt(inputs, work, modelfile, renderer)
    if request.strict:
        require_prompt(verdict, inputs.home)
    note("prompt", verdict)
    work = warn_of_format(inputs, work, modelfile, note)
    return mark_prompt(work, modelfile), modelfile, verdict


def _register_command(inputs: BuildInputs) -> str:
    """Return the command that registers the files of this build with the same options."""
    request = inputs.request
    words = ["ollama-pack", "register", str(inputs.output_dir), str(inputs.name)]
    words += ["--via", request.via] if request.via not in ("auto", "folder") else []
    words += ["--store", str(request.store)] if request.store is not None else []
    return shlex.join(words)
