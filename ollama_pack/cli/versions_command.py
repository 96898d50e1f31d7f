"""The command ``ollama-pack versions``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say

if TYPE_CHECKING:
    from ollama_pack.ollama.models import InstalledModel
    from ollama_pack.ollama.names import ModelName


@click.command("versions")
@options.model
@options.model_store
@options.as_json
def versions_command(*, model: "ModelName", store: Path | None, as_json: bool) -> None:
    """List the model NAME and its earlier versions, the latest first.

    A build that replaces a model keeps the replaced one as a version: the last three, and any
    model without an adapter. Each version is a model that Ollama lists and runs.

    \b
    Examples:
      ollama-pack versions ada-lovelace
      ollama-pack rollback ada-lovelace
    """
    from ollama_pack.deliver.history import current_and_versions
    from ollama_pack.ollama.choose_models import models_at
    from ollama_pack.ollama.locations import locations_from
    from ollama_pack.ollama.models import no_such_model

    with models_at(locations_from(os.environ, store=store), model) as models:
        current, earlier = current_and_versions(models, model)
        if current is None and not earlier:
            raise no_such_model(models, model)
    rows = [*([("current", current)] if current else []), *(("kept", entry) for entry in earlier)]
    if as_json:
        print_json("versions", {"versions": [version_json(state, entry) for state, entry in rows]})
        return
    for state, entry in rows:
        when = entry.changed.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        say(f"{entry.digest[:12]}  {when}  {entry.name}", f"{state:<8}  ")
    if current is None:
        command = f"ollama-pack rollback {model}{models.option}"
        Console().stage_done("note", f"{model} itself was removed: {command}  restores the latest version")


def version_json(state: str, entry: "InstalledModel") -> dict[str, Any]:
    """Return the JSON object of a version; `state` is ``current`` or ``kept``."""
    return {
        "name": str(entry.name),
        "state": state,
        "digest": f"sha256:{entry.digest}",
        "changed": entry.changed.isoformat(),
    }
