"""The command ``ollama-pack remove``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ollama_pack.cli import options
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import ask, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ollama_pack.ollama.names import ModelName


@click.command("remove")
@options.model
@options.model_store
@click.option("-y", "--yes", is_flag=True, help="Remove without asking.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@options.as_json
@options.quiet
def remove_command(
    *, model: "ModelName", store: Path | None, yes: bool, dry_run: bool, **speech: bool
) -> None:
    """Remove the model NAME and its earlier versions, but not its base.

    On a terminal, the names that would be removed are shown first, and you are asked to confirm. A
    model without an adapter is not removed, because ollama-pack did not create it.

    \b
    Examples:
      ollama-pack remove ada-lovelace --dry-run
      ollama-pack remove ada-lovelace --yes
    """
    from ollama_pack.deliver.history import remove_model
    from ollama_pack.ollama.choose_models import models_at
    from ollama_pack.ollama.locations import locations_from

    def confirm(names: "Sequence[ModelName]") -> bool:
        return not dry_run and (yes or require_consent(names))

    with models_at(locations_from(os.environ, store=store), model) as models:
        removed, kept = remove_model(models, model, confirm)
    if speech["as_json"]:
        facts = {"removed": list(map(str, removed)), "left": list(map(str, kept)), "dry_run": dry_run}
        print_json("remove", facts)
        return
    console = Console(quiet=speech["quiet"])
    if dry_run:
        console.stage_done("dry run", "these models would be removed; nothing was removed")
    for each in removed:
        say(each)
    for each in kept:
        console.stage_done("kept", f"{each}, which has no adapter and was not created by ollama-pack")
    if models.option and not dry_run:
        console.stage_done("kept", f"unused blobs in {models.place}; Ollama removes them when it starts")


def require_consent(names: "Sequence[ModelName]") -> bool:
    """Return True if the user at the terminal agrees that these models go, or if there is no terminal.

    Raises:
        RefusedError: the user does not agree.
    """
    from ollama_pack.errors import RefusedError

    if not sys.stdin.isatty():
        return True
    first, *versions = map(str, names)
    also = f", and its earlier {listed_versions(versions)}" if versions else ""
    say(f"This removes {first}{also}", err=True)
    if not ask("Remove?"):
        raise RefusedError("Nothing was removed.", hint="--yes  removes without asking", code="not-confirmed")
    return True


def listed_versions(versions: "Sequence[str]") -> str:
    """Return the names of versions with their noun: ``version ada:latest-1a2b3c4d``."""
    return f"version{'s' if len(versions) > 1 else ''} {', '.join(versions)}"
