"""Reads the adapter and its base, and decides what a build will write. It writes nothing."""

from dataclasses import dataclass, field

from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import UnsupportedError
from ollama_pack.files import Note, relative_path
from ollama_pack.gguf.split import require_one_file
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.peft.directory import CONFIG_FILE
from ollama_pack.lora.plan import LoraPlan
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.rules import MERGE_HINT
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.modelfile.template import DEFAULT, TemplateFields, compose_modelfile, find_template
from ollama_pack.pipeline.inputs import (
    BuildInputs,
    author_modelfile,
    expected_base,
    layer_count,
    read_all_adapters,
    resolve_base,
)

GGUF_NAME = "adapter_model.gguf"


def silent(_stage: str, _value: object) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is decided before anything is written. Each value is made once and carried to the end.

    Attributes:
        adapter: the adapter as it was read.
        base: the base as it was found.
        plan: what the GGUF LoRA file will hold.
        trained: what is known of the base that the adapter was trained on.
        author: the author's Modelfile.txt, or None if there is none.
        base_check: what the check of a GGUF base found, or None if the base is no file.
    """

    adapter: Adapter
    base: BaseModel
    plan: LoraPlan
    trained: ExpectedBase = field(default_factory=ExpectedBase)
    author: Modelfile | None = None
    base_check: tuple[str, ...] | None = None


def prepare(inputs: BuildInputs, note: Note = silent) -> BuildPlan:
    """Read the adapter and its base, and decide what the GGUF file will hold; write nothing.

    Raises:
        InputError: the adapter or its base is damaged, or they do not fit.
        UnsupportedError: the adapter cannot be expressed exactly.
        ProofError: the base is a file, and not the one the adapter was trained on.
    """
    request = inputs.request
    if request.merge:
        raise UnsupportedError(
            "Baking an adapter into its base (--merge) is not there yet.", hint=f"until then {MERGE_HINT}"
        )
    adapter = read_all_adapters(inputs)
    note("read", adapter)
    author = author_modelfile(inputs.directories[0])
    base = resolve_base(inputs, adapter, author)
    note("base", base)
    trained = expected_base(inputs.home, adapter.base_id, request, inputs.environment, layer_count(adapter))
    plan = plan_lora(adapter, base)
    return BuildPlan(adapter, base, plan, trained, author, _check_base_file(base, trained, plan))


def _check_base_file(base: BaseModel, trained: ExpectedBase, plan: LoraPlan) -> tuple[str, ...] | None:
    """Return what to tell of a GGUF base, or None if the base is no file.

    A file is at hand before the conversion, so what is wrong with it is told before any work is done.

    Raises:
        ProofError: it is not the base the adapter was trained on.
    """
    if base.info is None:
        return None
    from ollama_pack.lora.export import planned_header
    from ollama_pack.verify.base import compare_base, require_no_mismatch

    mismatches = compare_base(trained, planned_header(plan), base.info)
    return tuple(require_no_mismatch(trained, mismatches, base.info))


def render_modelfile(inputs: BuildInputs, work: BuildPlan, adapter: str = f"./{GGUF_NAME}") -> Modelfile:
    """Return the Modelfile: the author's, or a template's, with what was decided set in it.

    Args:
        inputs: the resolved request, with template, system prompt and parameters.
        work: what was decided: the base that FROM names, and the author's Modelfile.
        adapter: what ADAPTER says, relative to the Modelfile.

    Raises:
        InputError: the template is damaged, or no base can be named.
        UnsupportedError: a Modelfile cannot carry a value.
    """
    request, base = inputs.request, work.base
    if not base.gguf and not base.tag:
        raise UnsupportedError(
            f"No Ollama model of {base.source_id} is known, so there is nothing to build FROM.",
            where=f"{inputs.home / CONFIG_FILE}: base_model_name_or_path",
            hint="--base with a GGUF file of it, or with the name of an Ollama model you made of it",
        )
    if base.gguf is not None and base.info is not None:
        require_one_file(base.gguf, base.info.metadata)
    fields = TemplateFields(
        base=relative_path(base.gguf, inputs.output_dir) if base.gguf else base.tag,
        adapter=adapter,
        system=request.system,
        parameters=request.parameters,
        name=str(inputs.name),
    )
    template = find_template(request.template or DEFAULT)
    return compose_modelfile(work.author, template, fields, chosen=bool(request.template))
