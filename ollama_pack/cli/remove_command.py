"""``ollama-pack remove``."""

import os
from pathlib import Path

import click

from ollama_pack.cli import options
from ollama_pack.cli.speech import print_json


@click.command("remove")
@click.argument("name", metavar="NAME")
@options.model_store
@options.as_json
def command(*, name: str, store: Path | None, as_json: bool) -> None:
    """Remove the model NAME and its earlier versions; its base stays.

    A model without an adapter was not made by ollama-pack, and is refused.

    \b
    Example:
      ollama-pack remove ada-lovelace
    """
    from ollama_pack.destinations.history import remove
    from ollama_pack.destinations.models import models_at
    from ollama_pack.destinations.places import places_from
    from ollama_pack.names import parse_name

    model = parse_name(name)
    with models_at(places_from(os.environ, store=store), model) as models:
        gone = remove(models, model)
    if as_json:
        print_json("remove", {"removed": [str(each) for each in gone]})
        return
    for each in gone:
        click.echo(each)
