"""Reads the adapter and its base, and decides what a build will write, without writing it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.file_digest import FileDigest
from ollama_pack.base.installed import base_with_file
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import UnsupportedError, UsageError
from ollama_pack.files import Note, relative_path
from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.gguf.split import require_one_file
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.mergeable import MERGED_BY_PEFT
from ollama_pack.lora.peft.finite_check import check_large
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.lora.plan import LoraPlan
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.split_modules import join_split_modules
from ollama_pack.lora.untied import of_the_base
from ollama_pack.lora.vocabulary import VocabularyChange, fit_vocabulary, into_base, without_new
from ollama_pack.modelfile.editing import with_command
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.modelfile.template import DEFAULT, TemplateFields, compose_modelfile, find_template
from ollama_pack.pipeline.author import author_modelfile, author_warnings
from ollama_pack.pipeline.inherit import with_inherited
from ollama_pack.pipeline.inputs import (
    BuildInputs,
    expected_base,
    layer_count,
    read_all_adapters,
    resolve_base,
)
from ollama_pack.pipeline.lock import read_lock
from ollama_pack.pipeline.named_base import check_named_base, recorded_manifest, ways_to_a_base
from ollama_pack.pipeline.prompt.chat_format import missing_format
from ollama_pack.pipeline.source_digests import SourceDigests

GGUF_NAME = "adapter_model.gguf"
MERGED_NAME = "merged_model.gguf"


def silent(_stage: str, _value: object) -> None:
    """Ignore a stage: the `note` of a caller that needs no messages."""


BaseReceiver: TypeAlias = Callable[[BaseModel], BaseModel]
"""A function that returns a base with the file of its weights, which a daemon may have to send."""


def as_found(base: BaseModel) -> BaseModel:
    """Return a base as it is: the receiver where no daemon is asked for weights."""
    return base


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a build decides before it writes anything. Each value is made once and used to the end.

    Attributes:
        adapter: the adapter.
        base: its base.
        plan: what the GGUF LoRA file will hold.
        trained: what is known of the base that the adapter was trained on.
        author: the author's Modelfile.txt, or None if there is none.
        base_check: the messages of the check of a GGUF base, or None if the base is not a file.
        earlier: the lock of the last build into the same folder, or an empty mapping if there was none.
        base_change: how the base changed since that build, as far as it was known before the conversion; or
            an empty text. The notes of the base tell it.
        warnings: what the user should know about the Modelfile and the chat format, one sentence each.
        vocabulary: the tokens of the merged model, if they are not those of the base.
        digests: the digests of the adapter's files, each of which is taken once.
    """

    adapter: Adapter
    base: BaseModel
    plan: LoraPlan
    trained: ExpectedBase = field(default_factory=ExpectedBase)
    author: Modelfile | None = None
    base_check: tuple[str, ...] | None = None
    earlier: Mapping[str, Any] = field(default_factory=dict)
    base_change: str = ""
    warnings: tuple[str, ...] = ()
    vocabulary: VocabularyChange | None = None
    digests: SourceDigests = field(default_factory=SourceDigests, compare=False, repr=False)


def prepare(
    inputs: BuildInputs,
    note: Note = silent,
    begin: Callable[[FileDigest], FileDigest] | None = None,
    receive: BaseReceiver = as_found,
) -> BuildPlan:
    """Read the adapter and its base, and decide what the GGUF LoRA file will hold.

    Args:
        inputs: the resolved request.
        note: called after each stage, with the name of the stage and the value that it made.
        begin: takes the digest of a GGUF base meanwhile, and returns it; None if no digest is needed.
        receive: returns a base with its file; it is called if an adapter is merged into the base.

    Raises:
        InputError: the adapter or its base is damaged, or they do not fit together.
        UnsupportedError: the adapter cannot be expressed exactly.
        ProofError: the base is a GGUF file, and not the base that the adapter was trained on.
    """
    request = inputs.request
    adapter = read_all_adapters(inputs)
    note("read", adapter)
    if inputs.moved:
        note("output", f"{inputs.output_dir}, because {inputs.moved}")
    author, author_notes = author_modelfile(inputs.directories[0])
    for text in author_notes:
        note("author", text)
    base = resolve_base(inputs, adapter, author)
    if begin is not None and base.digest is not None:
        base = replace(base, digest=begin(base.digest))
    if request.merge:
        base = receive(base_with_file(inputs.locations, base))
    trained = expected_base(inputs.home, adapter.base_id, request, inputs.environment, layer_count(adapter))
    earlier = read_lock(inputs.output_dir)
    trained = replace(trained, placed=base.hparams, manifest=recorded_manifest(earlier, base))
    base, change = check_named_base(inputs, base, trained, earlier)
    note("base", base)
    joined = join_split_modules(adapter, base)
    if joined is not adapter:
        note("read", joined.notes[-1])
    if request.merge:
        joined, vocabulary, plan = _plan_merged(inputs, joined, base, trained.vocabulary, note)
    else:
        vocabulary, plan = None, plan_lora(joined, base)
    check_large(joined)
    known = trained.vocabulary and without_new(trained.vocabulary, vocabulary)
    check = compare_base_file(base, replace(trained, vocabulary=known), of_the_base(plan, base))
    return BuildPlan(
        joined, base, plan, trained, author, check, earlier, change, author_notes, vocabulary=vocabulary
    )


def _plan_merged(
    inputs: BuildInputs, adapter: Adapter, base: BaseModel, trained: Vocabulary | None, note: Note
) -> tuple[Adapter, VocabularyChange | None, LoraPlan]:
    """Return an adapter with all that a merged model takes of it, the tokens of that model, and its plan.

    Raises:
        InputError: the adapter does not fit the base.
        UnsupportedError: a merged model cannot hold it.
    """
    fitted, vocabulary = fit_vocabulary(adapter, base, trained)
    try:
        plan = plan_lora(fitted, into_base(base, fitted, vocabulary))
    except UnsupportedError as error:  # a method whose factors depend on the size of the weight
        if error.code not in MERGED_BY_PEFT:
            raise
        adapter = read_all_adapters(inputs, by_peft=True)
        note("read", adapter)
        fitted, vocabulary = fit_vocabulary(adapter, base, trained)
        plan = plan_lora(fitted, into_base(base, fitted, vocabulary))
    if vocabulary is not None:
        note("tokens", vocabulary)
    return fitted, vocabulary, plan


def compare_base_file(base: BaseModel, trained: ExpectedBase, plan: LoraPlan) -> tuple[str, ...] | None:
    """Check a GGUF base and return the messages for the user, or None if the base is not a file.

    A file can be read before the conversion, so that a mismatch is reported before any work is done.

    Raises:
        ProofError: it is not the base that the adapter was trained on.
    """
    if base.info is None:
        return None
    from ollama_pack.lora.export import planned_header
    from ollama_pack.verify.base import compare_base, require_no_mismatch

    mismatches = compare_base(trained, planned_header(plan), base.info)
    return tuple(require_no_mismatch(trained, mismatches, base.info))


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

    What in it does not do what its author expects is noted as a warning.

    Args:
        inputs: the resolved request, with template, system prompt and parameters.
        work: the plan of the build, which has the base and the author's Modelfile.
        note: called with each warning.
        adapter: the path for ADAPTER, relative to the Modelfile.

    Raises:
        InputError: the template is damaged.
        UnsupportedError: there is no Ollama model to build FROM, or a Modelfile cannot hold a value.
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
