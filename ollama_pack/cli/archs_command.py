"""``ollama-pack archs``."""

import click

from ollama_pack.archs import ARCHS, find_arch
from ollama_pack.cli import options
from ollama_pack.cli.speech import print_json
from ollama_pack.fates import RULES


@click.command("archs")
@click.argument("name", required=False, default="")
@options.as_json
def command(*, name: str, as_json: bool) -> None:
    """List the architectures that can be converted, or the modules of one.

    \b
    Example:
      ollama-pack archs llama
    """
    rows = (find_arch(arch_called(name)),) if name else ARCHS
    if as_json:
        facts = [
            {
                "name": arch.name,
                "classes": list(arch.classes),
                "weights": [
                    {
                        "module": weight.module,
                        "tensor": weight.tensor,
                        "rows": order_name(weight.rows),
                        "adaptable": not weight.refused,
                    }
                    for weight in arch.weights
                ],
            }
            for arch in rows
        ]
        print_json("archs", {"archs": facts})
    elif name:
        width = max(len(weight.module) for weight in rows[0].weights)
        for weight in rows[0].weights:
            order = order_name(weight.rows)
            why = f"refused: {RULES[weight.refused].feature}" if weight.refused else ""
            note = why or (order and f"rows: {order}")
            click.echo(f"{weight.module:<{width}}  {weight.tensor:<20}  {note}".rstrip())
    else:
        for arch in rows:
            click.echo(f"{arch.name:<13}  {', '.join(arch.classes)}")


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
