"""Merges an adapter into its base: plans the merged GGUF, writes it, and proves what it keeps of ΔW."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import Note, Progress, megabytes, remove_stale_drafts
from ollama_pack.errors import InputError, ProofError, UnsupportedError, UsageError, file_in_the_way
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.lora.adapter import Adapter, trained_tensors
from ollama_pack.pipeline.prepare import BuildPlan, silent
from ollama_pack.pipeline.prompt.chat_format import trained_format
from ollama_pack.pipeline.request import QUANTISED_TYPES, Request
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ollama_pack.merge.frontier import SizeFrontier
    from ollama_pack.merge.plan import MergePlan
    from ollama_pack.verify.behaviour import Behaviour
    from ollama_pack.verify.kept import MergeReport


CLEAN_WAY = (
    "a type of few bits adds noise to ΔW; the clean way to a small file is --base with the F16 file of the "
    "model and --merge-type q4_k_m"
)
CLEAN_WAY_HERE = (
    "a type of few bits adds noise to ΔW; the clean way to a small file from this base is --merge-type q4_k_m"
)


ONLY_CHANGED = {
    merge_type: f"only the weights that change become {merge_type.upper()}, all others stay as they are; "
    f"--merge-type {whole}  makes the whole file small"
    for merge_type, whole in {"q6_k": "q5_k_m", "q5_k": "q5_k_m"}.items()
}
"""Notes for a base of many bits: llama.cpp's own quantiser gives a type of this name to the whole file."""


@dataclass(frozen=True, slots=True)
class MergedFile:
    """A merged GGUF on disk.

    Attributes:
        path: the path of the file.
        digest: the digest of the file, ``sha256:`` and 64 hexadecimal digits.
        size: the size of the file in bytes.
        report: what the proof measured.
        frontier: what files of other sizes keep, if the size was given.
        before: the proof of the merge, if the file was quantised afterwards.
        behaviour: how closely it behaves like the base with the adapter, if a text was given.
    """

    path: Path
    digest: str
    size: int
    report: "MergeReport"
    frontier: "SizeFrontier | None" = None
    before: ProofResult | None = None
    behaviour: "Behaviour | None" = None

    def __str__(self) -> str:
        """Return the path and the size, for people."""
        return f"{self.path}  {megabytes(self.size)}"


def merge(
    work: BuildPlan,
    path: Path,
    request: Request,
    note: Note = silent,
    progress: Progress | None = None,
) -> MergedFile:
    """Write the base with the adapter merged into it, and prove it; a file that fails the proof is deleted.

    Args:
        work: the adapter, its base and the plan of its GGUF LoRA file.
        path: the place of the file.
        request: what the user asks for: the type of the tensors that change, and how much must be kept.
        note: called after each stage, with the name of the stage and the value that it made.
        progress: called while bytes are read or written.

    Raises:
        InputError: the base or a weight is damaged.
        UsageError: the base is no file that can be read here.
        UnsupportedError: a tensor has a type that cannot be read or written, or a merged weight is too large.
        ProofError: the merged file does not keep enough of ΔW.
        DestinationError: the file cannot be written.
        RefusedError: there is a file of that name that is no merged GGUF.
    """
    from ollama_pack.pipeline.merging.quantise import merge_and_quantise

    remove_stale_drafts(path.parent)
    write = merge_and_quantise if request.merge_type in QUANTISED_TYPES else _merge_file
    if request.kept_on is None:
        return write(work, path, request, note, progress)
    from ollama_pack.pipeline.merging.behaviour import behaviour_of, text_to_compare

    text = text_to_compare(work, request.kept_on)
    merged = write(work, path, request, note, progress)
    behaviour = behaviour_of(work, path, text)
    note("behaviour", behaviour)
    return replace(merged, behaviour=behaviour)


def _merge_file(
    work: BuildPlan, path: Path, request: Request, note: Note, progress: Progress | None
) -> MergedFile:
    """Write the merged file, and prove it."""
    from ollama_pack.merge.write import write_merged
    from ollama_pack.verify.merged import prove_merged

    plan = planned_merge(work, path, request)
    if plan.frontier:
        note("types", plan.frontier)
    if request.merge_type in ONLY_CHANGED and rest_is_plain(plan):
        note("types", ONLY_CHANGED[request.merge_type])
    elif plan.is_lossy:
        note("types", CLEAN_WAY_HERE if rest_is_plain(plan) else CLEAN_WAY)
    least = least_of(request)
    reports: list[MergeReport] = []

    def check(draft: Path) -> None:
        report = prove_merged(work.adapter, work.base, draft, least=least, progress=progress)
        reports.append(require_kept(report, path, request))

    merged = MergedFile(path, *write_merged(plan, path, check, progress), reports[0], plan.frontier)
    note("merge", merged)
    note("proof", reports[0].result)
    return merged


def planned_merge(work: BuildPlan, path: Path, request: Request) -> "MergePlan":
    """Return what the merged file at `path` will hold; it raises what `merge` raises before it writes."""
    from ollama_pack.gguf.ggml_blocks import needs_ggml
    from ollama_pack.gguf.ggml_library import find_ggml
    from ollama_pack.gguf.quantise import find_quantiser
    from ollama_pack.gguf.split import read_parts
    from ollama_pack.lora.beside import plan_beside
    from ollama_pack.lora.replication import replicated_layers
    from ollama_pack.lora.untied import HEAD_TENSOR
    from ollama_pack.lora.vocabulary import into_base
    from ollama_pack.merge.budget import spend_size
    from ollama_pack.merge.by_peft import plan_by_peft
    from ollama_pack.merge.keys import MergeLabels
    from ollama_pack.merge.plan import plan_merge
    from ollama_pack.merge.write import rest_of
    from ollama_pack.pipeline.merging.quantise import require_many_bits

    _require_always_active(work.adapter)
    source = require_base_file(work.base)
    require_own_file(path, source)
    base = into_base(work.base, work.adapter, work.vocabulary)
    parts = work.base.parts or read_parts(source)
    beside = (*plan_beside(work.adapter, base), *plan_by_peft(work.adapter, base))
    labels = MergeLabels(
        request.name or path.stem,
        _adapter_digest(work),
        trained_format(work.adapter.directory),
        own_head=HEAD_TENSOR in (base.tensors or {}).keys() - (work.base.tensors or {}).keys(),
        vocabulary=work.vocabulary,
        layers=replicated_layers(work.adapter, work.base),
    )
    whole = request.merge_type in QUANTISED_TYPES
    first = _type_before(parts) if whole else request.merge_type
    plan = plan_merge(parts, work.plan, first, beside, labels=labels)
    if whole:
        find_quantiser()
        require_many_bits(plan)
    if request.merge_size is not None:
        frontier = spend_size(plan, rest_of(plan), request.merge_size, least_of(request))
        plan = replace(plan_merge(parts, work.plan, frontier.types, beside, labels=labels), frontier=frontier)
    if any(needs_ggml(tensor.kind) and not tensor.keeps_scales for tensor in plan.touched):
        find_ggml()
    return plan


def rest_is_plain(plan: "MergePlan") -> bool:
    """Return whether most of a base is in F32, F16 or BF16, so that its user may expect a smaller file."""
    from ollama_pack.gguf.blocks import PLAIN

    total = sum(tensor.base.nbytes for tensor in plan.tensors)
    return sum(tensor.base.nbytes for tensor in plan.tensors if tensor.base.kind in PLAIN) * 2 > total


def _type_before(parts: "Sequence[GgufFile]") -> str:
    """Return the type of what changes in a file that is quantised afterwards: that of the base, or F16."""
    from ollama_pack.gguf.ggml_types import Q8_0

    return "f16" if any(Q8_0 in part.types.values() for part in parts) else "auto"


def least_of(request: Request) -> float:
    """Return the smallest share of ΔW that a weight must keep."""
    from ollama_pack.verify.merged import LEAST_KEPT

    return LEAST_KEPT if request.min_kept is None else request.min_kept


def planned_size_of(work: BuildPlan, path: Path, request: Request) -> int:
    """Return the size in bytes that the merged file at `path` will have."""
    from ollama_pack.merge.write import merged_size

    plan = planned_merge(work, path, request)
    if request.merge_type in QUANTISED_TYPES:
        from ollama_pack.pipeline.merging.quantise import quantised_size

        return quantised_size(plan, request.merge_type)
    return merged_size(plan)


def _require_always_active(adapter: Adapter) -> None:
    """Require that an adapter acts on every token, as a merged weight does.

    Raises:
        UnsupportedError: it acts only after certain tokens.
    """
    if adapter.invocation:
        raise UnsupportedError(
            "An activated LoRA acts only after its invocation tokens, but a merged weight on every token.",
            where=adapter.directory,
            hint="ollama-pack build, which delivers it as a file of its own",
            code="not-mergeable",
        )


def require_base_file(base: BaseModel, reader: str = "merging") -> Path:
    """Return the file of a base, which `reader` needs.

    Raises:
        UsageError: the base is known by its name only.
    """
    if base.gguf is None:
        raise UsageError(
            f"The weights of {base.tag or base.source_id} were not found here, and {reader} needs them.",
            hint="--base FILE.gguf, with the GGUF file of that model",
            code="base-no-file",
        )
    return base.gguf


def require_own_file(path: Path, base: Path) -> None:
    """Require that a merged file written to `path` replaces nothing but another merged file.

    Raises:
        RefusedError: there is something else, or it is the base itself.
    """
    from ollama_pack.gguf.constants import MERGED_ADAPTER

    try:
        if not path.exists():
            return
        own = not path.samefile(base) and MERGED_ADAPTER in read_gguf(path).metadata
    except (InputError, OSError):
        own = False
    if not own:
        raise file_in_the_way(
            path, "ollama-pack did not merge it", hint="--out with another place, or move the file away"
        )


def _adapter_digest(work: BuildPlan) -> str:
    """Return the digests of the files that hold the weights of an adapter, joined by commas."""
    files = sorted({tensor.path for tensor in trained_tensors(work.adapter)})
    return ",".join(work.digests.of(file) for file in files)


def require_kept(report: "MergeReport", path: Path, request: Request) -> "MergeReport":
    """Return a report that passed.

    Raises:
        ProofError: it did not.
    """
    if not report.result.passed:
        smaller = "" if request.merge_type == "f16" else "--merge-type f16 keeps more of it, and "
        if request.merge_size is not None:
            smaller = f"without --merge-size, {smaller}"
        raise ProofError(
            f"The merged file would not be the trained model: {report.result.summary}.",
            where=f"{path.name}: {report.result.worst}",
            hint=f"{smaller}--merge-type f32 keeps all of it",
            code="kept",
        )
    return report
