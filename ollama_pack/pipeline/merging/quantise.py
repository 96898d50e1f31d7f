"""Merges into a base of many bits, and quantises the whole file afterwards, which adds the least noise."""

from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.disk.files import DRAFT, Note, Progress, sha256_of_file, whole_file
from ollama_pack.errors import UnsupportedError
from ollama_pack.pipeline.merging.merge import MergedFile, least_of, planned_merge, require_kept
from ollama_pack.pipeline.prepare import BuildPlan
from ollama_pack.pipeline.request import QUANTISED_TYPES, Request

if TYPE_CHECKING:
    from ollama_pack.gguf.imatrix import Values
    from ollama_pack.merge.plan import MergePlan
    from ollama_pack.verify.kept import MergeReport


def merge_and_quantise(
    work: BuildPlan, path: Path, request: Request, note: Note, progress: Progress | None
) -> MergedFile:
    """Write the merged file in many bits, prove it, quantise it, and measure what is left of ΔW.

    Both files are complete before either has its name, and the first is removed.

    Raises:
        UsageError: llama-cpp-python is not installed, or the type needs an importance matrix.
        UnsupportedError: the base is quantised already, or llama.cpp does not quantise the file.
        InputError: the importance matrix cannot be read.
        ProofError: a proof failed.
        DestinationError: a file cannot be written.
    """
    from ollama_pack.gguf.imatrix import read_imatrix
    from ollama_pack.gguf.quantise import quantise_file
    from ollama_pack.merge.write import write_merged
    from ollama_pack.verify.merged import prove_merged
    from ollama_pack.verify.quantised import prove_quantised

    plan, least = planned_merge(work, path, request), least_of(request)
    importance: dict[str, Values] = read_imatrix(request.imatrix) if request.imatrix is not None else {}
    reports: list[MergeReport] = []

    def check(draft: Path) -> None:
        report = prove_merged(work.adapter, work.base, draft, least=least, progress=progress)
        reports.append(require_kept(report, path, request))

    between = path.parent / f"{DRAFT}{path.name}"
    try:
        write_merged(plan, between, check, progress)
        note("proof", reports[0].result)
        with whole_file(path) as file:
            quantise_file(between, Path(file.name), request.merge_type, importance, progress)
            report = prove_quantised(work.adapter, work.base, Path(file.name), least=least)
            require_kept(report, path, request)
    finally:
        between.unlink(missing_ok=True)
    merged = MergedFile(path, sha256_of_file(path), path.stat().st_size, report, before=reports[0].result)
    note("merge", merged)
    note("kept", report.result)
    return merged


def require_many_bits(plan: "MergePlan") -> None:
    """Require that the base of a merge was not quantised to few bits before.

    Raises:
        UnsupportedError: a matrix of it is.
    """
    from ollama_pack.gguf.blocks import PLAIN, type_name
    from ollama_pack.gguf.ggml_types import Q8_0

    for tensor in plan.tensors:
        if tensor.base.kind not in (*PLAIN, Q8_0):
            raise UnsupportedError(
                f"The base is quantised already ({type_name(tensor.base.kind)}), and not quantised again.",
                where=f"{tensor.base.path}: {tensor.base.name}",
                hint="--base with its F16, BF16, F32 or Q8_0 file, or --merge-type auto",
                code="base-quantised",
            )


def quantised_size(plan: "MergePlan", merge_type: str) -> int:
    """Return the approximate size of a quantised file, as if all matrices had the type of most of them."""
    from ollama_pack.gguf.ggml_types import BLOCKS, nbytes_of
    from ollama_pack.merge.write import merged_size

    kind, saved = QUANTISED_TYPES[merge_type], 0
    for tensor in plan.tensors:
        if len(tensor.shape) > 1 and tensor.shape[-1] % BLOCKS[kind][0] == 0:
            saved += tensor.nbytes - nbytes_of(kind, tensor.shape)
    return merged_size(plan) - saved
