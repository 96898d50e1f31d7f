"""Decides the Modelfile of a build: the author's or a template, with FROM, ADAPTER and the options set."""

import hashlib
from dataclasses import replace

from ollama_pack.disk.files import Note, relative_path
from ollama_pack.errors import UsageError
from ollama_pack.gguf.split import require_one_file
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.modelfile.editing import with_command
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.modelfile.template import DEFAULT, TemplateFields, compose_modelfile, find_template
from ollama_pack.pipeline.author import author_warnings
from ollama_pack.pipeline.inherit import with_inherited
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.named_base import ways_to_a_base
from ollama_pack.pipeline.prepare import GGUF_NAME, MERGED_NAME, BuildPlan, silent
from ollama_pack.pipeline.prompt.chat_format import missing_format

PROMPT_DIGEST = "ollama_pack.prompt.sha256"
"""The key of a GGUF LoRA file with the digest of the TEMPLATE or RENDERER that its Modelfile sets."""


def mark_prompt(work: BuildPlan, text: Modelfile) -> BuildPlan:
    """Return the plan of a build with the digest of its own prompt template in the metadata of the GGUF file.

    Ollama runs models with the same base and the same adapter in one process, with the template mode of the
    first. Adapters that differ in this key are different files, so each model gets a process that fits.
    Without a TEMPLATE or RENDERER the file depends on the adapter alone.
    """
    own = [value for command in ("TEMPLATE", "RENDERER") if (value := text.value(command))]
    if not own:
        return work
    digest = hashlib.sha256("\0".join(own).encode()).hexdigest()
    plan = replace(work.plan, metadata={**work.plan.metadata, PROMPT_DIGEST: digest})
    return replace(work, plan=plan)


def decide_modelfile(
    inputs: BuildInputs, work: BuildPlan, note: Note = silent, adapter: str = f"./{GGUF_NAME}"
) -> tuple[BuildPlan, Modelfile]:
    """Return the plan of a build with the warnings about its Modelfile, and the Modelfile.

    The arguments and errors are those of `render_modelfile`.
    """
    warnings = list(work.warnings)

    def keep(stage: str, value: object) -> None:
        warnings.extend([str(value)] if stage == "warning" else [])
        note(stage, value)

    modelfile = render_modelfile(inputs, work, keep, adapter)
    return mark_prompt(replace(work, warnings=tuple(warnings)), modelfile), modelfile


def render_modelfile(
    inputs: BuildInputs, work: BuildPlan, note: Note = silent, adapter: str = f"./{GGUF_NAME}"
) -> Modelfile:
    """Return the Modelfile: that of the author or of a template, with FROM, ADAPTER and the options set.

    A command in it that does not do what its author expects is reported as a warning.

    Args:
        inputs: the resolved request, with template, system prompt and parameters.
        work: the plan of the build, which has the base and the author's Modelfile.
        note: called with each warning.
        adapter: the path for ADAPTER, relative to the Modelfile.

    Raises:
        InputError: the template is damaged.
        UsageError: no Ollama model of the base is known to build FROM.
        UnsupportedError: a Modelfile cannot hold a value, or the base is in several files.
    """
    request, base = inputs.request, work.base
    if not base.gguf and not base.tag:
        raise UsageError(
            f"No Ollama model of {base.source_id} is known, so there is nothing to build FROM.",
            where=f"{inputs.home / CONFIG_FILE}: base_model_name_or_path",
            hint=ways_to_a_base(base.source_id, inputs.request),
            code="no-tag",
        )
    if base.gguf is not None and base.info is not None and not request.merge:
        require_one_file(base.gguf, base.info.metadata)
    file = relative_path(base.gguf, inputs.output_dir) if base.gguf else base.tag
    merged = request.merge and bool(adapter)
    fields = TemplateFields(
        base=f"./{MERGED_NAME}" if merged else file,
        adapter="" if merged else adapter,
        system=request.system,
        parameters=request.parameters,
        name=str(inputs.name),
    )
    template = find_template(request.template or DEFAULT)
    modelfile = compose_modelfile(work.author, template, fields, chosen=bool(request.template))
    if request.template == "":
        modelfile = with_command(modelfile, "TEMPLATE", "")
    if merged:
        modelfile, left_out = with_inherited(modelfile, base)
        for text in left_out:
            note("warning", text)
    for text in author_warnings(work.author, modelfile):
        note("warning", text)
    return modelfile


def warn_of_format(
    inputs: BuildInputs, work: BuildPlan, modelfile: Modelfile, note: Note = silent
) -> BuildPlan:
    """Return the plan of a build with a warning if its model has no chat format although one was trained."""
    prompts = (*modelfile.values("TEMPLATE"), *modelfile.values("RENDERER"))
    if prompts or inputs.request.merge or inputs.request.template is not None:
        return work
    text = missing_format(inputs.home, work.base)
    if not text:
        return work
    note("warning", text)
    return replace(work, warnings=(*work.warnings, text))
