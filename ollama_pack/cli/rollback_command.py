"""``ollama-pack rollback``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ollama_pack.cli import options
from ollama_pack.cli.speech import Speaker, print_json
from ollama_pack.cli.versions_command import entry_facts

if TYPE_CHECKING:
    from ollama_pack.names import ModelName


@click.command("rollback")
@options.model
@click.argument("version", metavar="[VERSION]", required=False, default=None, callback=options.not_empty)
@options.model_store
@options.as_json
@options.quiet
def command(*, model: "ModelName", version: str, store: Path | None, as_json: bool, quiet: bool) -> None:
    """Give the model NAME back to an earlier version, the latest if none is named.

    VERSION is the beginning of its digest, as `ollama-pack versions` shows it. The model as
    it is now becomes a version itself. No blob is moved.

    \b
    Example:
      ollama-pack rollback ada-lovelace
      ollama-pack rollback ada-lovelace 1a2b3c4d
    """
    from ollama_pack.destinations.history import roll_back
    from ollama_pack.destinations.models import models_at
    from ollama_pack.destinations.places import places_from

    with models_at(places_from(os.environ, store=store), model) as models:
        current, earlier = roll_back(models, model, version)
    if as_json:
        kept = [entry_facts("kept", earlier)] if earlier else []
        print_json("rollback", {"versions": [entry_facts("current", current), *kept]})
        return
    speaker = Speaker(quiet=quiet)
    speaker.note("rollback", f"{current.name} is {current.digest[:12]} again")
    if earlier:
        speaker.note("kept", f"{earlier.digest[:12]} as {earlier.name}")
    click.echo(current.name)
