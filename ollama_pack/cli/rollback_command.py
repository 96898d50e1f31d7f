"""The command ``ollama-pack rollback``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ollama_pack.cli import options
from ollama_pack.cli.option_values import not_empty
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say
from ollama_pack.cli.versions_command import version_json

if TYPE_CHECKING:
    from ollama_pack.ollama.names import ModelName


@click.command("rollback")
@options.model
@click.argument("version", metavar="[VERSION]", required=False, default=None, callback=not_empty)
@options.model_store
@options.as_json
@options.quiet
def rollback_command(
    *, model: "ModelName", version: str, store: Path | None, as_json: bool, quiet: bool
) -> None:
    """Restore an earlier version of the model NAME, by default the latest one.

    VERSION is the start of its digest, as `ollama-pack versions` prints it. The current
    model is kept as a version too. No blob is copied.

    \b
    Examples:
      ollama-pack rollback ada-lovelace
      ollama-pack rollback ada-lovelace 1a2b3c4d
    """
    from ollama_pack.deliver.history import rollback
    from ollama_pack.ollama.choose_models import models_at
    from ollama_pack.ollama.locations import locations_from

    with models_at(locations_from(os.environ, store=store), model) as models:
        current, earlier = rollback(models, model, version)
    if as_json:
        kept = [version_json("kept", earlier)] if earlier else []
        print_json("rollback", {"versions": [version_json("current", current), *kept]})
        return
    console = Console(quiet=quiet)
    console.stage_done("rollback", f"{current.name} is {current.digest[:12]} again")
    if earlier:
        console.stage_done("kept", f"{earlier.digest[:12]} as {earlier.name}")
    say(current.name)
