"""Reads the adapter and its base, and decides what a build will write, without writing it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.file_digest import FileDigest
from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import Note
from ollama_pack.errors import UnsupportedError
from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.mergeable import MERGED_BY_PEFT
from ollama_pack.lora.peft.finite_check import check_large
from ollama_pack.lora.plan import LoraPlan
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.split_modules import join_split_modules
from ollama_pack.lora.untied import of_the_base
from ollama_pack.pipeline.author import author_modelfile
from ollama_pack.pipeline.inputs import (
    BuildInputs,
    expected_base,
    layer_count,
    read_all_adapters,
    resolve_base,
)
from ollama_pack.pipeline.lock import read_lock
from ollama_pack.pipeline.named_base import check_named_base, recorded_manifest
from ollama_pack.pipeline.source_digests import SourceDigests

if TYPE_CHECKING:
    from ollama_pack.lora.vocabulary import VocabularyChange
    from ollama_pack.modelfile.syntax import Modelfile

GGUF_NAME = "adapter_model.gguf"
MERGED_NAME = "merged_model.gguf"


def silent(_stage: str, _value: object) -> None:
    """Ignore a stage: the `note` of a caller that needs no messages."""


BaseReceiver: TypeAlias = Callable[[BaseModel], BaseModel]
"""A function that returns a base with the file of its weights; a daemon may have to send them."""


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
        digests: the digests of the adapter's files, each of which is computed once.
    """

    adapter: Adapter
    base: BaseModel
    plan: LoraPlan
    trained: ExpectedBase = field(default_factory=ExpectedBase)
    author: "Modelfile | None" = None
    base_check: tuple[str, ...] | None = None
    earlier: Mapping[str, Any] = field(default_factory=dict)
    base_change: str = ""
    warnings: tuple[str, ...] = ()
    vocabulary: "VocabularyChange | None" = None
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
        begin: starts a thread that computes the digest of a GGUF base; None if no digest is needed.
        receive: returns a base with its file; it is called if an adapter is merged into the base.

    Raises:
        InputError: the adapter or its base is damaged, or they do not fit together.
        UnsupportedError: the adapter cannot be expressed exactly.
        ProofError: the base is not the one that the adapter was trained on, or with `strict` may be another.
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
        base = receive(_with_file(inputs, base))
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
    known = trained if vocabulary is None else _without_new_tokens(trained, vocabulary)
    check = compare_base_file(base, known, of_the_base(plan, base))
    return BuildPlan(
        joined, base, plan, trained, author, check, earlier, change, author_notes, vocabulary=vocabulary
    )


def _with_file(inputs: BuildInputs, base: BaseModel) -> BaseModel:
    """Return a base with its GGUF file, if a store on this machine has the model."""
    from ollama_pack.base.installed import base_with_file

    return base_with_file(inputs.locations, base)


def _plan_merged(
    inputs: BuildInputs, adapter: Adapter, base: BaseModel, trained: Vocabulary | None, note: Note
) -> tuple[Adapter, "VocabularyChange | None", LoraPlan]:
    """Return an adapter with all that a merged model takes of it, the tokens of that model, and its plan.

    Raises:
        InputError: the adapter does not fit the base.
        UnsupportedError: a merged model cannot hold it.
    """
    from ollama_pack.lora.vocabulary import fit_vocabulary, into_base  # only merging changes a vocabulary

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


def _without_new_tokens(trained: ExpectedBase, change: "VocabularyChange") -> ExpectedBase:
    """Return what the base must have: not the tokens that the merged model gets from the adapter."""
    from ollama_pack.lora.vocabulary import without_new

    return replace(trained, vocabulary=trained.vocabulary and without_new(trained.vocabulary, change))


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
