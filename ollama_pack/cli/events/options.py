"""The options that say in which form runners and programs are told what happens."""

from collections.abc import Sequence
from pathlib import Path

import click

from ollama_pack.cli.events.views import ANNOTATIONS, FORMATS
from ollama_pack.cli.options import combine


def split_writes(
    _ctx: click.Context, _param: click.Parameter, texts: Sequence[str]
) -> tuple[tuple[str, Path], ...]:
    """Return texts of the form ``FORMAT=FILE`` as pairs."""
    pairs = [text.partition("=") for text in texts]
    for name, _, path in pairs:
        if name not in FORMATS or not path:
            raise click.BadParameter(
                f"{name}={path} is not FORMAT=FILE, where FORMAT is one of {', '.join(FORMATS)}"
            )
    return tuple((name, Path(path)) for name, _, path in pairs)


telling = combine(
    click.option(
        "--annotations",
        type=click.Choice(ANNOTATIONS),
        default="auto",
        show_default=True,
        help="Write annotations, log groups, a summary and outputs in the form of this CI runner. auto: the "
        "one that runs the command, if any.",
    ),
    click.option(
        "--json-lines", is_flag=True, help="Print each event as a line of JSON on stdout while it happens."
    ),
    click.option(
        "--write",
        multiple=True,
        callback=split_writes,
        metavar="FORMAT=FILE",
        help=f"Write what happened to FILE; may be repeated. FORMAT: {', '.join(FORMATS)}.",
    ),
)
