"""``ollama-pack archs``."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from ollama_pack.arch.evidence import EVIDENCE_KINDS, LOGITS, evidence_of
from ollama_pack.arch.spec import Arch, Weight
from ollama_pack.arch.table import ARCHS, require_arch
from ollama_pack.cli import options
from ollama_pack.cli.output import print_json
from ollama_pack.lora.rules import RULES


@click.command("archs")
@click.argument("name", required=False, default="")
@options.as_json
def archs_command(*, name: str, as_json: bool) -> None:
    """List the architectures that can be converted, or the modules of one, with what was proved and when.

    NAME is an architecture of llama.cpp, a class of Hugging Face, or its model_type. A module was proved by
    PEFT's logits, by what llama.cpp's converter made of its weight, or stands in the row unmeasured (-).

    \b
    Example:
      ollama-pack archs llama
      ollama-pack archs Qwen3MoeForCausalLM
    """
    rows = rows_called(name) if name else ARCHS
    if as_json:
        print_json("archs", {"archs": [facts(arch) for arch in rows]})
        return
    for line in chain(*map(details, rows)) if name else summaries():
        click.echo(line)


def facts(arch: Arch) -> dict[str, Any]:
    """Return all about a row."""
    return {
        "name": arch.name,
        "classes": list(arch.hf_classes),
        "weights": [
            {
                "module": weight.module,
                "tensor": weight.tensor,
                "rows": order_name(weight.rows),
                "columns": order_name(weight.columns),
                "scaled": weight.scale is not None,
                "adaptable": not weight.unsupported,
                "proved": standing(weight, arch.name),
            }
            for weight in arch.weights
        ],
        "proved": [
            {"class": proof.model, "by": proof.way, "date": proof.date, "modules": list(proof.modules)}
            for proof in evidence_of(arch.name)
        ],
    }


def summaries() -> Iterator[str]:
    """Yield a line a row: its name, its strongest and latest proof, its classes."""
    width = max(len(arch.name) for arch in ARCHS)
    for arch in ARCHS:
        proof = max(evidence_of(arch.name), key=lambda proof: (proof.way == LOGITS, proof.date))
        yield f"{arch.name:<{width}}  {proof.way:<9} {proof.date}  {', '.join(arch.hf_classes)}"


def details(arch: Arch) -> Iterator[str]:
    """Yield a line a module of a row, then what was proved of each class."""
    width = max(len(weight.module) for weight in arch.weights)
    wide = max(len(weight.tensor) for weight in arch.weights)
    yield f"{arch.name}: {', '.join(arch.hf_classes)}"
    yield ""
    for weight in arch.weights:
        proved = "refused" if weight.unsupported else standing(weight, arch.name) or "-"
        yield f"{weight.module:<{width}}  {weight.tensor:<{wide}}  {proved:<9}  {note(weight)}".rstrip()
    for proof in evidence_of(arch.name):
        yield ""
        yield f"proved of {proof.model} on {proof.date}: {EVIDENCE_KINDS[proof.way]}"
        yield f"  {', '.join(proof.modules)}"
    yield ""


def standing(weight: Weight, arch: str) -> str:
    """Return how a module was proved, of any class of its row; empty where it was not."""
    called = {weight.module.rpartition(".")[2]} | ({"experts"} if weight.has_experts else set())
    ways = {proof.way for proof in evidence_of(arch) if called & set(proof.modules)}
    return "" if weight.unsupported else next((way for way in EVIDENCE_KINDS if way in ways), "")


def note(weight: Weight) -> str:
    """Return what happens to a weight, or why no LoRA can be on it; empty where nothing does."""
    if weight.unsupported:
        rule = RULES[weight.unsupported]
        return f"{rule.feature}: {rule.reason}"
    rows, columns = order_name(weight.rows), order_name(weight.columns)
    scaled = "multiplied with numbers of config.json" if weight.scale else ""
    return "; ".join(filter(None, (rows and f"rows: {rows}", columns and f"columns: {columns}", scaled)))


def rows_called(name: str) -> tuple[Arch, ...]:
    """Return the rows a user means by the name of one, a class of theirs, or its model_type.

    Raises:
        UnsupportedError: there is none.
    """
    wanted = _letters(name)
    named = tuple(arch for arch in ARCHS if _letters(arch.name) == wanted)
    classes = tuple(arch for arch in ARCHS if any(wanted in _short_names(known) for known in arch.hf_classes))
    return named or classes or (require_arch(name),)


def _short_names(known: str) -> tuple[str, ...]:
    """Return what a class may be called: itself, and without what all classes end with."""
    whole = _letters(known)
    stem = whole.removesuffix("forcausallm").removesuffix("forconditionalgeneration")
    return whole, stem, f"{stem}text"


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def order_name(order: object) -> str:
    """Return what a row order is called, empty where rows stay as they are."""
    return str(getattr(order, "__name__", "")).replace("_", " ")
