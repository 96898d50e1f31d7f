"""The command ``ollama-pack remove``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ollama_pack.cli import options
from ollama_pack.cli.output import Console, print_json

if TYPE_CHECKING:
    from ollama_pack.ollama.names import ModelName


@click.command("remove")
@options.model
@options.model_store
@options.as_json
@options.quiet
def remove_command(*, model: "ModelName", store: Path | None, as_json: bool, quiet: bool) -> None:
    """Remove the model NAME and its earlier versions, but not its base.

    A model without an adapter is not removed, because ollama-pack did not create it.

    \b
    Example:
      ollama-pack remove ada-lovelace
    """
    from ollama_pack.deliver.history import remove_model
    from ollama_pack.ollama.choose_models import models_at
    from ollama_pack.ollama.locations import locations_from

    with models_at(locations_from(os.environ, store=store), model) as models:
        removed, kept = remove_model(models, model)
    if as_json:
        print_json("remove", {"removed": list(map(str, removed)), "left": list(map(str, kept))})
        return
    console = Console(quiet=quiet)
    for each in removed:
        click.echo(each)
    for each in kept:
        console.stage_done("kept", f"{each}, which has no adapter and was not created by ollama-pack")
    if models.option:
        console.stage_done("kept", f"unused blobs in {models.place}; Ollama removes them when it starts")
