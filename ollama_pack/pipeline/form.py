"""The two forms in which an adapter is delivered: a file of its own beside its base, or merged into it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import make_package
from ollama_pack.disk.files import Note, Progress, megabytes
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.lora.plan import LORA_A, LoraFile
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.pipeline.convert import convert
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.prepare import GGUF_NAME, MERGED_NAME, BuildPlan
from ollama_pack.pipeline.prompt.chat_format import TEMPLATE_KEY, trained_format
from ollama_pack.pipeline.request import QUANTISED_TYPES, Request

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package
    from ollama_pack.pipeline.merging.merge import MergedFile
    from ollama_pack.verify.result import ProofResult


def write_weights(
    inputs: BuildInputs, work: BuildPlan, note: Note, progress: Progress | None
) -> "tuple[LoraFile | MergedFile, ProofResult]":
    """Write the GGUF LoRA file or the merged GGUF, whichever the user asks for, and prove it."""
    from ollama_pack.lora.export import planned_size
    from ollama_pack.pipeline.merging.merge import merge

    request = inputs.request
    if not request.merge:
        lora, report = convert(work, inputs.output_dir / GGUF_NAME, request.outtype, note)
        note("form", _cost_of_an_adapter(lora, inputs, work))
        return lora, report
    merged = merge(work, inputs.output_dir / MERGED_NAME, _with_model_name(inputs), note, progress)
    separate = megabytes(planned_size(work.plan, request.outtype))
    note(
        "form",
        f"merged, as --merge says: {megabytes(merged.size)}, which every Ollama runs; without --merge it "
        f"would be an adapter of {separate} beside its base",
    )
    return merged, merged.report.result


def _cost_of_an_adapter(lora: LoraFile, inputs: BuildInputs, work: BuildPlan) -> str:
    """Return what an adapter of its own costs, and what the merged form would, as far as that is known."""
    told = f"an adapter of {megabytes(lora.size)} beside its base, the smaller form"
    if work.adapter.invocation:
        return f"{told}, and the only one in which an activated LoRA acts on some tokens only"
    size = _size_if_merged(inputs, work)
    if size is None:
        return told
    return f"{told}; --merge makes one file of {megabytes(size)}, which every Ollama runs"


def _size_if_merged(inputs: BuildInputs, work: BuildPlan) -> int | None:
    """Return the approximate size of the merged file, or None if the size of its base is not known."""
    from ollama_pack.base.base_weights import weights_of
    from ollama_pack.gguf.ggml_types import BLOCKS
    from ollama_pack.merge.size import size_if_merged

    weights, request = weights_of(work.base, inputs.locations), inputs.request
    if weights is None or request.merge_size is not None:
        return request.merge_size if weights is not None else None
    changed = [each.name.removesuffix(LORA_A) for each in work.plan.tensors if each.name.endswith(LORA_A)]
    merge_type: str | int = request.merge_type
    if request.merge_type in QUANTISED_TYPES:  # all matrices get it
        merge_type = QUANTISED_TYPES[request.merge_type]
        per_block = BLOCKS[merge_type][0]
        changed = [
            name
            for name, shape in weights.shapes.items()
            if len(shape) > 1 and shape[-1] % per_block == 0 and weights.types.get(name) in BLOCKS
        ]
    return size_if_merged(weights.size, weights.shapes, weights.types, changed, merge_type)


def make_built_package(
    inputs: BuildInputs, work: BuildPlan, modelfile: Modelfile, weights: "LoraFile | MergedFile"
) -> "Package":
    """Return the package to deliver, with the check of its base; a known digest is not computed again."""
    if not isinstance(weights, LoraFile):
        merged = read_base_gguf(weights.path, digest=weights.digest)
        return _merged_package(inputs, work, modelfile, merged)
    package = make_package(inputs.name, modelfile, weights, work.base, work.trained)
    return replace(package, base_check=work.base_check)


def _merged_package(
    inputs: BuildInputs, work: BuildPlan, modelfile: Modelfile, merged: BaseModel
) -> "Package":
    """Return the package of a merged model, which remembers the base that it was made of."""
    package = make_package(inputs.name, modelfile, None, merged, work.trained)
    return replace(package, base_check=work.base_check, merged_from=work.base)


def plan_package(inputs: BuildInputs, work: BuildPlan, modelfile: Modelfile) -> "Package":
    """Return the package as it will be, before its file is there."""
    if inputs.request.merge:
        info = _with_format(work.base.info, trained_format(work.adapter.directory))
        merged = replace(
            work.base, gguf=inputs.output_dir / MERGED_NAME, tag="", digest=None, info=info, parts=()
        )
        return _merged_package(inputs, work, modelfile, merged)
    return make_built_package(inputs, work, modelfile, _planned_lora(inputs, work))


def _with_format(info: ModelInfo | None, text: str) -> ModelInfo | None:
    """Return what the header of a base will say with the chat template that was trained."""
    return replace(info, metadata={**info.metadata, TEMPLATE_KEY: text}) if info and text else info


def _with_model_name(inputs: BuildInputs) -> Request:
    """Return the request with the name that the model gets."""
    return replace(inputs.request, name=str(inputs.name))


def _planned_lora(inputs: BuildInputs, work: BuildPlan) -> LoraFile:
    """Return the GGUF LoRA file as it will be, with zeros as its digest."""
    from ollama_pack.lora.export import planned_size

    path, outtype = inputs.output_dir / GGUF_NAME, inputs.request.outtype
    return LoraFile(path, "sha256:" + "0" * 64, planned_size(work.plan, outtype), outtype)


def with_planned_size(inputs: BuildInputs, work: BuildPlan, package: "Package") -> "Package":
    """Return a planned package with its size; raise what would keep its file from being written."""
    from ollama_pack.lora.export import require_replaceable
    from ollama_pack.pipeline.merging.merge import planned_size_of

    if package.adapter is None and work.base.temporary:  # only the build has the daemon send it
        return replace(package, planned_size=_size_if_merged(inputs, work) or 0)
    if package.adapter is None:
        return replace(package, planned_size=planned_size_of(work, package.file, _with_model_name(inputs)))
    require_replaceable(package.file)
    return package
