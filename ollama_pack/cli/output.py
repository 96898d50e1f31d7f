"""What people read, on stderr; and the one JSON document, on stdout."""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from ollama_pack.base.model import BaseModel
from ollama_pack.cli.progress import Bars
from ollama_pack.deliver.package import Receipt
from ollama_pack.errors import PackError, printable
from ollama_pack.files import megabytes
from ollama_pack.lora.adapter import Adapter, dtypes_of, layer_of, trained_tensors
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.verify.result import ProofResult

JSON_SCHEMA_VERSION = 1
STAGE_WIDTH = 10


class Console:
    """Says what happens while it happens.

    Attributes:
        verbose: say notes and details too.
        quiet: say nothing but errors.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        self.verbose, self.quiet = verbose, quiet
        self._bars = Bars()

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> "Console":
        """Return the speaker that ``-v`` and ``-q`` ask for."""
        return cls(verbose=chosen["verbose"], quiet=chosen["quiet"])

    def stage_done(self, stage: str, value: object) -> None:
        """Say a finished stage: one line, and with `verbose` its details."""
        if self.quiet:
            return
        line, told, more = lines_of(value)
        self._bars.close()
        label = click.style(f"{stage:<{STAGE_WIDTH}}", fg="cyan", bold=True)
        click.echo(label + printable(line), err=True, color=color())
        for text in (*told, *more) if self.verbose else told:
            click.echo(" " * STAGE_WIDTH + printable(text), err=True, color=color())

    def progress(self, label: str, done: int, total: int) -> None:
        """Say how far a long step is."""
        if not self.quiet:
            self._bars(label, done, total)


def color() -> bool | None:
    """Return False where NO_COLOR is set, None for click to decide by the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def error_facts(error: PackError) -> dict[str, Any]:
    """Return an error, with everything that it concerns."""
    return {"what": error.what, "where": error.where, "try": error.hint, "found": error.subjects}


def print_json(kind: str, content: Mapping[str, Any]) -> None:
    """Print one document: what it is, the version of its form, and its content."""
    document = {"schema_version": JSON_SCHEMA_VERSION, "kind": kind, **content}
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


class Lines(NamedTuple):
    """What to say about a value.

    Attributes:
        line: always.
        always: what must not be missed, always.
        verbose: details, for who asks for them.
    """

    line: str
    always: tuple[str, ...] = ()
    verbose: tuple[str, ...] = ()


def lines_of(value: object) -> Lines:
    """Return what to say about a value that a stage made."""
    match value:
        case Adapter():
            lines = _adapter_lines(value)
        case BaseModel():
            lines = _base(value)
        case LoraFile():
            lines = Lines(f"{value.path}  {megabytes(value.size)} {value.outtype}", verbose=(value.digest,))
        case ProofResult():
            lines = Lines(
                f"{value.proof}: {value.summary}", verbose=(f"worst at {value.worst}",) if value.worst else ()
            )
        case Modelfile():
            lines = Lines(f"FROM {value.value('FROM')}, ADAPTER {value.value('ADAPTER')}")
        case Receipt():
            digest = (f"manifest {value.digest}",) if value.digest else ()
            tried = tuple(f"tried before: {each}" for each in value.tried)
            lines = Lines(value.lines[0], value.lines[1:], (*tried, *digest))
        case _:
            lines = Lines(str(value))
    return lines


def _adapter_lines(adapter: Adapter) -> Lines:
    modules = Counter(pair.module.rsplit(".", 1)[-1] for pair in adapter.pairs)
    ranks = sorted({pair.rank for pair in adapter.pairs})
    scales = sorted({pair.scale for pair in adapter.pairs})
    numbers = f"rank {_span(ranks)}, scale {_span(scales)}, {'/'.join(dtypes_of(adapter))}"
    method = adapter.method if not adapter.invocation else f"activated {adapter.method}"
    notes = adapter.notes
    if adapter.invocation:
        tokens = ", ".join(map(str, adapter.invocation))
        notes += (f"acts after the tokens {tokens} in Ollama from 0.30 on; elsewhere it acts on every token",)
    return Lines(
        f"{adapter.directory}  {method} on {len(adapter.pairs)} weights, {numbers}",
        always=tuple(f"note: {note}" for note in notes),
        verbose=(
            "modules: " + ", ".join(f"{module} ×{count}" for module, count in modules.items()),
            _extent(adapter),
            f"trained on: {adapter.base_id or 'not said'}{_trainer(adapter)}",
        ),
    )


def _extent(adapter: Adapter) -> str:
    layers = {layer_of(pair.module) for pair in adapter.pairs} - {None}
    count = sum(math.prod(leaf.shape) for leaf in trained_tensors(adapter))
    return f"parameters: {count:,}" + (f", in {len(layers)} layers" if layers else "")


def _trainer(adapter: Adapter) -> str:
    version = adapter.config.get("peft_version")
    return f", with PEFT {version}" if isinstance(version, str) and version else ""


def _base(base: BaseModel) -> Lines:
    named = base.tag or (base.gguf.name if base.gguf else "") or base.source_id
    heads = f"{base.hparams.heads} heads ({base.hparams.kv_heads} KV) of {base.hparams.head_dim}"
    return Lines(
        f"{named}  {base.hparams.arch}, {base.hparams.blocks} blocks, {heads}",
        always=tuple(f"note: {text}" for text in base.notes),
        verbose=(f"numbers from: {base.origin}",),
    )


def _span(values: list[int] | list[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g}–{values[-1]:g}"
