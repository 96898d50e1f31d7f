"""``ollama-pack remove``."""

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
    """Remove the model NAME and its earlier versions; its base stays.

    A model without an adapter was not made by ollama-pack, and is refused.

    \b
    Example:
      ollama-pack remove ada-lovelace
    """
    from ollama_pack.deliver.history import remove_model
    from ollama_pack.ollama.locations import locations_from
    from ollama_pack.ollama.models import models_at

    with models_at(locations_from(os.environ, store=store), model) as models:
        gone, left = remove_model(models, model)
    if as_json:
        print_json("remove", {"removed": list(map(str, gone)), "left": list(map(str, left))})
        return
    speaker = Console(quiet=quiet)
    for each in gone:
        click.echo(each)
    for each in left:
        speaker.stage_done("left", f"{each}, which has no adapter and was there before")
    if models.option:
        speaker.stage_done(
            "left", f"blobs in {models.place} that no model names now; Ollama tidies when it starts"
        )
