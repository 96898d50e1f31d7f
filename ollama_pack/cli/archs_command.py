"""``ollama-pack archs``."""

from collections.abc import Iterator
from typing import Any

import click

from ollama_pack.archs import ARCHS, Arch, Weight, find_arch
from ollama_pack.archs.proved import LOGITS, WAYS, proofs_of
from ollama_pack.cli import options
from ollama_pack.cli.speech import print_json
from ollama_pack.fates import RULES


@click.command("archs")
@click.argument("name", required=False, default="")
@options.as_json
def command(*, name: str, as_json: bool) -> None:
    """List the architectures that can be converted, or the modules of one, with what was proved and when.

    \b
    Example:
      ollama-pack archs llama
    """
    rows = (find_arch(arch_called(name)),) if name else ARCHS
    if as_json:
        print_json("archs", {"archs": [facts(arch) for arch in rows]})
        return
    for line in details(rows[0]) if name else summaries():
        click.echo(line)


def facts(arch: Arch) -> dict[str, Any]:
    """Return all about a row."""
    return {
        "name": arch.name,
        "classes": list(arch.classes),
        "weights": [
            {
                "module": weight.module,
                "tensor": weight.tensor,
                "rows": order_name(weight.rows),
                "columns": order_name(weight.columns),
                "scaled": weight.scale is not None,
                "adaptable": not weight.refused,
            }
            for weight in arch.weights
        ],
        "proved": [
            {"class": proof.model, "by": proof.way, "date": proof.date, "modules": list(proof.modules)}
            for proof in proofs_of(arch.name)
        ],
    }


def summaries() -> Iterator[str]:
    """Yield a line a row: its name, its strongest and latest proof, its classes."""
    width = max(len(arch.name) for arch in ARCHS)
    for arch in ARCHS:
        proof = max(proofs_of(arch.name), key=lambda proof: (proof.way == LOGITS, proof.date))
        yield f"{arch.name:<{width}}  {proof.way:<9} {proof.date}  {', '.join(arch.classes)}"


def details(arch: Arch) -> Iterator[str]:
    """Yield a line a module of a row, then what was proved of each class."""
    width = max(len(weight.module) for weight in arch.weights)
    for weight in arch.weights:
        yield f"{weight.module:<{width}}  {weight.tensor:<22}  {note(weight)}".rstrip()
    for proof in proofs_of(arch.name):
        yield ""
        yield f"proved of {proof.model} on {proof.date}: {WAYS[proof.way]}"
        yield f"  {', '.join(proof.modules)}"


def note(weight: Weight) -> str:
    """Return what happens to a weight, or why no LoRA can be on it; empty where nothing does."""
    if weight.refused:
        return f"refused: {RULES[weight.refused].reason}"
    rows, columns = order_name(weight.rows), order_name(weight.columns)
    scaled = "multiplied with numbers of config.json" if weight.scale else ""
    return "; ".join(filter(None, (rows and f"rows: {rows}", columns and f"columns: {columns}", scaled)))


def arch_called(name: str) -> str:
    """Return the architecture a user means by its name, a class of it, or what a class begins with."""
    wanted = name.lower()
    for arch in ARCHS:
        classes = [known.lower() for known in arch.classes]
        if wanted in (arch.name, *classes, *(known.removesuffix("forcausallm") for known in classes)):
            return arch.name
    return name


def order_name(order: object) -> str:
    """Return what a row order is called, empty where rows stay as they are."""
    return str(getattr(order, "__name__", "")).replace("_", " ")
