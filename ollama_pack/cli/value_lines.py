"""Says in lines what a stage of a command made: its first line, its notes, and its details."""

import math
from collections import Counter
from typing import NamedTuple

from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Receipt
from ollama_pack.disk.files import megabytes
from ollama_pack.lora.adapter import Adapter, dtypes_of, layer_of, trained_tensors
from ollama_pack.lora.plan import LoraFile
from ollama_pack.merge.frontier import SizeFrontier
from ollama_pack.message import Message
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.pipeline.prompt.verdict import PromptVerdict
from ollama_pack.verify.result import ProofResult


def is_warning(text: str) -> bool:
    """Return whether a line says that the base may be the wrong one, which nobody has accepted."""
    if not isinstance(text, Message):
        return False
    mismatch = text.facts.get("mismatch", {})
    doubtful = mismatch.get("level") in ("warning", "error") and not mismatch["accepted"]
    return text.code == "base-moved" or doubtful


class Lines(NamedTuple):
    """The text about a value that a stage returned.

    Attributes:
        line: the first line.
        always: the notes, which are always printed.
        verbose: the details, which are printed with ``-v``.
    """

    line: str
    always: tuple[str, ...] = ()
    verbose: tuple[str, ...] = ()


def lines_of(value: object) -> Lines:
    """Return the text about a value that a stage returned."""
    match value:
        case Adapter():
            lines = _adapter_lines(value)
        case BaseModel():
            lines = _base_lines(value)
        case LoraFile():
            lines = Lines(f"{value.path}  {megabytes(value.size)} {value.outtype}", verbose=(value.digest,))
        case ProofResult():
            worst = (f"worst at {value.worst}",) if value.worst else ()
            notes = () if value.passed else (f"the first that differs: {value.worst}",)
            lines = Lines(f"{value.proof}: {value.summary}", notes, worst if value.passed else ())
        case PromptVerdict():
            lines = _prompt_lines(value)
        case Modelfile():
            lines = Lines(
                ", ".join(f"{name} {value.value(name)}" for name in ("FROM", "ADAPTER") if value.value(name))
            )
        case Receipt():
            digest = (f"manifest {value.digest}",) if value.digest else ()
            tried = tuple(f"tried first: {each}" for each in value.tried)
            lines = Lines(value.lines[0], value.lines[1:], (*tried, *digest))
        case SizeFrontier():
            lines = _frontier_lines(value)
        case Lines():
            lines = value
        case _:
            lines = Lines(str(value))
    return lines


def _frontier_lines(frontier: SizeFrontier) -> Lines:
    """Return the text about the sizes that a merged file could have, and the one that was chosen."""
    told = [f"{megabytes(nbytes)}: off by {100 * off:.1f} % of ΔW" for nbytes, off in frontier.points]
    count = len(set(frontier.types.values()))
    others = [line for place, line in enumerate(told) if place != frontier.chosen]
    return Lines(
        f"{count} type{'s' if count > 1 else ''} for {len(frontier.types)} weights; {told[frontier.chosen]}, "
        "as measured on some rows",
        tuple(f"another size: {line}" for line in others),
    )


def _prompt_lines(verdict: PromptVerdict) -> Lines:
    """Return the text about the prompts of a model: figure and first difference, or why there is none."""
    if verdict.result is None:
        return Lines(f"not proved: {verdict.why}")
    at = f"{verdict.result.worst}:" if verdict.difference else ""
    return Lines(
        verdict.result.summary, tuple(filter(None, (at, *verdict.difference.splitlines(), *verdict.notes)))
    )


def _adapter_lines(adapter: Adapter) -> Lines:
    """Return the text about an adapter."""
    adapted = (*(pair.module for pair in adapter.pairs), *(each.module for each in adapter.by_peft))
    modules = Counter(name.rsplit(".", 1)[-1] for name in adapted)
    ranks = sorted({pair.rank for pair in adapter.pairs})
    scales = sorted({pair.scale for pair in adapter.pairs})
    dtypes = "/".join(dtypes_of(adapter))
    method = adapter.method if not adapter.invocation else f"activated {adapter.method}"
    if adapter.pairs:
        what = (
            f"{method} on {len(adapter.pairs)} weights, rank {_span(ranks)}, scale {_span(scales)}, {dtypes}"
        )
    elif adapter.by_peft:
        what = f"{method} on {len(adapter.by_peft)} weights, which PEFT merges, {dtypes}"
    else:  # a full fine-tune of some weights has no A and B
        what = f"{len(adapter.beside)} whole weights, {dtypes}"
    notes = adapter.notes
    if adapter.invocation:
        tokens = ", ".join(map(str, adapter.invocation))
        notes += (
            f"Ollama 0.30 and later apply it after the tokens {tokens}; earlier ones apply it to every token",
        )
    return Lines(
        f"{adapter.directory}  {what}",
        always=tuple(f"note: {note}" for note in notes),
        verbose=(
            "modules: " + ", ".join(f"{module} ×{count}" for module, count in modules.items()),
            _extent(adapter),
            f"trained on: {adapter.base_id or 'unknown'}{_trainer(adapter)}",
        ),
    )


def _extent(adapter: Adapter) -> str:
    """Return the number of trained parameters and of layers."""
    layers = {layer_of(pair.module) for pair in adapter.pairs} - {None}
    count = sum(math.prod(leaf.shape) for leaf in trained_tensors(adapter))
    return f"parameters: {count:,}" + (f", in {len(layers)} layers" if layers else "")


def _trainer(adapter: Adapter) -> str:
    """Return the version of PEFT as a clause, or an empty string if it is unknown."""
    version = adapter.config.get("peft_version")
    return f", with PEFT {version}" if isinstance(version, str) and version else ""


def _base_lines(base: BaseModel) -> Lines:
    """Return the text about a base."""
    name = base.tag or (base.gguf.name if base.gguf else "") or base.source_id
    heads = f"{base.hparams.heads} heads ({base.hparams.kv_heads} KV) of {base.hparams.head_dim}"
    return Lines(
        f"{name}  {base.hparams.arch}, {base.hparams.blocks} blocks, {heads}",
        always=tuple(text if is_warning(text) else f"note: {text}" for text in base.notes),
        verbose=(f"numbers from: {base.origin}",),
    )


def _span(values: list[int] | list[float]) -> str:
    """Return the first and the last of sorted numbers, or the only one."""
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g}–{values[-1]:g}"
