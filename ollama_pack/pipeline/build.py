"""The tour of the house: from an adapter directory to a model in Ollama.

`build` reads the adapter and finds its base, maps one onto the other, renders the Modelfile, writes
the GGUF LoRA and proves its numbers, packs it all and puts it where Ollama finds it. The other
functions are its parts.
"""

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Receipt, make_package
from ollama_pack.errors import DestinationError, RefusedError, UnsupportedError
from ollama_pack.files import Note, Progress, relative_path, remove_stale_drafts
from ollama_pack.gguf.split import require_whole
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.peft.directory import CONFIG_FILE
from ollama_pack.lora.plan import LoraFile, LoraPlan
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.rules import MERGE_HINT
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.file import write_modelfile
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.modelfile.template import DEFAULT, TemplateFields, compose_modelfile, find_template
from ollama_pack.pipeline.inputs import (
    author_modelfile,
    expected_base,
    layer_count,
    read_all_adapters,
    resolve_base,
)
from ollama_pack.pipeline.lock import describe_base_change, read_lock, write_lock
from ollama_pack.pipeline.release import read_release
from ollama_pack.pipeline.request import Request
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.deliver.package import DeliveryPlan, Package


GGUF_NAME = "adapter_model.gguf"


def silent(_stage: str, _value: object) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is settled before anything is written.

    Attributes:
        adapter: as read.
        base: as found.
        plan: what the GGUF file will hold.
        trained: what is known of the base the adapter was trained on.
    """

    adapter: Adapter
    base: BaseModel
    plan: LoraPlan
    trained: ExpectedBase = field(default_factory=ExpectedBase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `build` did.

    Attributes:
        work: what was settled.
        lora: the GGUF file.
        report: the proof of its numbers.
        modelfile: the path of Modelfile.txt.
        lock: the path of the record of what it was made of.
        receipt: what the destination did.
        load: the proof that the model loads; None where no daemon has it.
    """

    work: BuildPlan
    lora: LoraFile
    report: ProofResult
    modelfile: Path
    lock: Path
    receipt: Receipt
    load: ProofResult | None = None


def build(request: Request, note: Note = silent, progress: Progress | None = None) -> Outcome:
    """Make a model Ollama runs out of an adapter directory.

    Raises:
        PackError: whichever of its children names what is wrong; what was there before still is.
    """
    from ollama_pack.deliver import choose

    name, places = request.model, request.places
    require_own_output_dir(request)
    work = prepare(request, note)
    modelfile = render_modelfile(request, work)
    remove_stale_drafts(request.folder)
    earlier = read_lock(request.folder)
    lora, report = convert(work, request.folder / GGUF_NAME, request.outtype, note)
    path = request.folder / MODELFILE_NAME
    write_modelfile(
        modelfile, path, note, author=request.home / MODELFILE_NAME, known=earlier.get("modelfile")
    )
    package = make_package(name, modelfile, lora, work.base, work.trained)
    try:
        receipt = choose.deliver(package, places, via=request.via, progress=progress)
    except DestinationError as error:
        kept = f"{_register_command(request)}  once that is so: the files are kept"
        hint = f"{error.hint}\n       {kept}" if error.hint else kept
        raise DestinationError(error.what, where=error.where, hint=hint) from error
    if told := describe_base_change(earlier, work.base, receipt):
        receipt = replace(receipt, lines=(*receipt.lines, told))
    note("register", receipt)
    lock = write_lock(request.folder, package, receipt)
    load = prove_load_of(package, receipt, request, note)
    return Outcome(work=work, lora=lora, report=report, modelfile=path, lock=lock, receipt=receipt, load=load)


def plan_build(request: Request, note: Note = silent) -> "tuple[BuildPlan, DeliveryPlan]":
    """Return what `build` would do, without writing anything.

    The weights are not read through, so the digest of the GGUF file is not known yet.

    Raises:
        PackError: as `build` would, but for what only the weights themselves show.
    """
    from ollama_pack.deliver import choose
    from ollama_pack.lora.export import planned_size, require_replaceable

    name = request.model
    require_own_output_dir(request)
    work = prepare(request, note)
    modelfile = render_modelfile(request, work)
    path = request.folder / GGUF_NAME
    require_replaceable(path)
    lora = LoraFile(path, "sha256:" + "0" * 64, planned_size(work.plan, request.outtype), request.outtype)
    package = make_package(name, modelfile, lora, work.base, work.trained)
    return work, choose.plan_delivery(package, request.places, via=request.via)


def register(request: Request, note: Note = silent, progress: Progress | None = None) -> Receipt:
    """Put what a build left in a folder into Ollama; nothing is converted again.

    Raises:
        InputError: the folder lacks Modelfile.txt or the GGUF LoRA it names, or they are damaged.
        DestinationError: every way in is closed.
    """
    from ollama_pack.deliver import choose

    package = read_release(request)
    note("read", package.adapter)
    receipt = choose.deliver(package, request.places, via=request.via, progress=progress)
    note("register", receipt)
    prove_load_of(package, receipt, request, note)
    return receipt


def prove_load_of(
    package: "Package", receipt: Receipt, request: Request, note: Note = silent
) -> ProofResult | None:
    """Prove that the daemon loads the model; None where no daemon has it, or nobody wants to know.

    Raises:
        ProofError: it does not load, or answers as its base does.
    """
    if not request.load or not receipt.served:
        return None
    from ollama_pack.deliver.load_check import check_load

    address = request.places.address
    report = check_load(package, address, digest=receipt.digest, allow_noop=request.allow_noop)
    note("proof", report)
    return report


def prepare(request: Request, note: Note = silent) -> BuildPlan:
    """Read the adapter and its base, and decide what the GGUF file will hold; write nothing.

    Raises:
        InputError: the adapter or its base is damaged, or they do not fit.
        UnsupportedError: the adapter cannot be expressed exactly.
        ProofError: the base is a file, and not the one the adapter was trained on.
    """
    if request.merge:
        raise UnsupportedError(
            "Baking an adapter into its base (--merge) is not there yet.", hint=f"until then {MERGE_HINT}"
        )
    adapter = read_all_adapters(request)
    note("read", adapter)
    base = resolve_base(request, adapter)
    note("base", base)
    trained = expected_base(request, adapter.base_id, layer_count(adapter))
    work = BuildPlan(adapter, base, plan_lora(adapter, base), trained)
    if base.gguf is not None:
        from ollama_pack.gguf.model_info import read_model_info
        from ollama_pack.lora.export import planned_header
        from ollama_pack.verify.base import compare_base, require_no_mismatch

        # A file is here already: what it is not is told before it is converted.
        seen = read_model_info(base.gguf)
        require_no_mismatch(work.trained, compare_base(work.trained, planned_header(work.plan), seen), seen)
    return work


def render_modelfile(request: Request, work: BuildPlan, adapter: str = f"./{GGUF_NAME}") -> Modelfile:
    """Return the Modelfile: the author's, or a template's, with what was settled set in it.

    Args:
        request: template, system prompt and parameters.
        work: whose base FROM names.
        adapter: what ADAPTER says, relative to the Modelfile.

    Raises:
        InputError: the author's Modelfile.txt or the template is damaged, or no base can be named.
        UnsupportedError: a Modelfile cannot carry a value.
    """
    if not work.base.gguf and not work.base.tag:
        raise UnsupportedError(
            f"No Ollama model of {work.base.source_id} is known, so there is nothing to build FROM.",
            where=f"{request.home / CONFIG_FILE}: base_model_name_or_path",
            hint="--base with a GGUF file of it, or with the name of an Ollama model you made of it",
        )
    if work.base.gguf is not None:
        require_whole(work.base.gguf)
    fields = TemplateFields(
        base=relative_path(work.base.gguf, request.folder) if work.base.gguf else work.base.tag,
        adapter=adapter,
        system=request.system,
        parameters=request.parameters,
        name=str(request.model),
    )
    template = find_template(request.template or DEFAULT)
    return compose_modelfile(author_modelfile(request), template, fields, chosen=bool(request.template))


def convert(work: BuildPlan, path: Path, outtype: str, note: Note = silent) -> tuple[LoraFile, ProofResult]:
    """Write the GGUF LoRA file and prove its numbers; a file that fails does not appear.

    Raises:
        InputError: a weight is NaN or infinite.
        UnsupportedError: a weight is too large for the type.
        ProofError: the file does not give the adapter's ΔW.
        DestinationError: the file cannot be written.
        RefusedError: a file of another kind is in its place.
    """
    from ollama_pack.lora.export import require_replaceable, write_lora
    from ollama_pack.verify.numbers import prove_numbers, require_passed

    require_replaceable(path)
    reports: list[ProofResult] = []

    def check(draft: Path) -> None:
        reports.append(require_passed(prove_numbers(work.adapter, work.base, draft), path))

    lora = write_lora(work.plan, path, outtype, check)
    note("convert", lora)
    note("proof", reports[0])
    return lora, reports[0]


def require_own_output_dir(request: Request) -> None:
    """Require that the output does not go where another adapter lives.

    Raises:
        RefusedError: it does; its Modelfile.txt and GGUF file would be replaced.
    """
    other, own = request.folder / CONFIG_FILE, request.home / CONFIG_FILE
    try:
        foreign = not other.samefile(own)
    except OSError:  # one of them is missing, or the place is none: whoever reads or writes there will say so
        foreign = False
    if foreign:
        raise RefusedError(
            "Another adapter lives there; its Modelfile.txt and GGUF file would be replaced.",
            where=request.folder,
            hint="--out with a directory of its own",
        )


def _register_command(request: Request) -> str:
    """Return what puts the files of a build where it was asked to."""
    words = ["ollama-pack", "register", str(request.folder), str(request.model)]
    words += ["--via", request.via] if request.via not in ("auto", "folder") else []
    words += ["--store", str(request.store)] if request.store is not None else []
    return shlex.join(words)
