"""The command ``ollama-pack build``."""

import contextlib
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.base.file_digest import FileDigest
from ollama_pack.cli import arguments, merge_options, options
from ollama_pack.cli.batch import build_each, offer_each
from ollama_pack.cli.events.options import telling
from ollama_pack.cli.json_output import outcome_facts, plan_facts
from ollama_pack.cli.output import Console, print_json
from ollama_pack.cli.say import say
from ollama_pack.cli.tasks import makes_several, tasks_of_each
from ollama_pack.deliver.package import Receipt
from ollama_pack.disk.files import home_directory, megabytes, user_path
from ollama_pack.errors import UsageError

if TYPE_CHECKING:
    from ollama_pack.pipeline.request import Request


SPARE_ADDRESS = "127.0.0.1:11435"
"""The address for a second daemon, next to one that may listen on the usual port."""


@click.command("build")
@options.sources_or_models
@options.name_option
@click.option(
    "--each",
    is_flag=True,
    help="Build one model of each DIR. A failure does not stop the others; the exit code is the largest.",
)
@options.tag
@options.adapter
@options.checkpoint
@options.scaling
@options.base
@options.proof
@options.delivery
@options.load
@options.prompt
@options.outtype
@options.out
@click.option("--merge", is_flag=True, help="Merge the adapter into its base, and deliver one model file.")
@merge_options.merging
@click.option("--dry-run", is_flag=True, help="Print what would be done, and write nothing.")
@telling
@options.speech
def build_command(**chosen: Any) -> None:
    """Convert the adapter in DIR and register it as a model in Ollama.

    This command reads the adapter, finds its base, writes a GGUF LoRA file, verifies its
    numbers, writes Modelfile.txt, and registers the model.

    The model is named after the directory: ada-lovelace-lora/ becomes ada-lovelace. With
    several DIR and a --weight for each, the model gets the weighted sum of the adapters.
    With --each, every DIR becomes a model of its own. Without DIR, all models that
    ollama-pack.toml lists are built.

    \b
    Examples:
      ollama-pack build ada-lovelace-lora/
      ollama-pack build ada-lora/ ada --base vicuna:7b --parameter temperature=0.3
      ollama-pack build ada-lovelace-lora/ --via folder --out release/
      ollama-pack build ada-lovelace-lora/ --checkpoint best
      ollama-pack build ada-lora/ style-lora/ --weight 0.7 --weight 0.3
      ollama-pack build --each collection/*-lora
    """
    several, which = makes_several(chosen), chosen["checkpoint"]
    ahead = None if several or chosen["dry_run"] else begin_digest(chosen["base"])

    from ollama_pack.pipeline.inputs import resolve_inputs
    from ollama_pack.pipeline.prepare import prepare

    console = Console.of(chosen)
    kind, make = ("plan", plan_one) if chosen["dry_run"] else ("build", partial(build_one, ahead=ahead))

    def make_all(request: "Request", chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        which = chosen["checkpoint"]
        requests = arguments.requests_of_checkpoints(request, which)
        if wants_all_checkpoints(which):
            for each in requests:  # Every checkpoint must be buildable before the first one is built.
                prepare(resolve_inputs(each))
        return [make(each, console, quiet=console.for_programs) for each in requests]

    if several:
        done, failed, code = build_each(tasks_of_each(chosen, console), make_all, console)
    else:
        request = arguments.request_from(chosen)
        try:
            done, failed, code = make_all(request, chosen), [], 0
        except UsageError as error:
            raise offer_each(error, request.directory) from error
    if chosen["as_json"] and (several or wants_all_checkpoints(which)):
        print_json(f"{kind}s", {f"{kind}s": done, "failed": failed})
    elif chosen["as_json"]:
        print_json(kind, done[0])
    click.get_current_context().exit(code)


def wants_all_checkpoints(which: str) -> bool:
    """Return whether the value of ``--checkpoint`` stands for every checkpoint of a run."""
    if not which:
        return False
    from ollama_pack.run.checkpoints import ALL

    return which == ALL


def begin_digest(name: str) -> FileDigest | None:
    """Return the digest of a base that is named by its file, or None for any other base.

    A thread computes it while the modules of a build are imported; it ends with the command.
    """
    path = user_path(name)
    with contextlib.suppress(OSError):  # the name is too long for a file
        if name and path.is_file():
            return click.get_current_context().with_resource(FileDigest(path))
    return None


def build_one(
    request: "Request", console: Console, *, quiet: bool, ahead: FileDigest | None = None
) -> dict[str, Any]:
    """Build a model, print the commands that run it, and return its JSON object; print nothing if `quiet`."""
    from ollama_pack.pipeline import build

    outcome = build.build(request, console.stage_done, console.progress, ahead=ahead)
    if not quiet:
        for line in next_commands(outcome.receipt):
            console.stage_done("run", line)
        say(outcome.receipt.name)
    document = outcome_facts(outcome)
    console.made("build", document)
    return document


def plan_one(request: "Request", console: Console, *, quiet: bool) -> dict[str, Any]:
    """Print the plan of a build, and return its JSON object; print nothing if `quiet`."""
    from ollama_pack.pipeline import build

    work, planned = build.plan_build(request, console.stage_done)
    if not quiet:
        reason = f": {planned.reason}" if planned.reason else ""
        console.stage_done("plan", f"via {planned.via}{reason}")
        for item, size in planned.items:
            say(item, f"{megabytes(size) if size else 'present':>12}  ")
        verb = "replace" if planned.replaces else "create"
        total = f"{megabytes(planned.total):>12}  "
        say(f"at most, to {verb} {planned.name} in {planned.where}", total)
    document = plan_facts(work, planned)
    console.made("plan", document)
    return document


def next_commands(receipt: Receipt) -> list[str]:
    """Return the commands with which the user runs the new model."""
    place, run = shlex.quote(receipt.where), f"ollama run {receipt.name}"
    if receipt.via == "folder":
        return [f"ollama-pack register {place} {receipt.name}"]
    if receipt.served or receipt.via != "store":
        return [run]
    if Path(receipt.where) == home_directory() / ".ollama" / "models":
        return ["ollama serve", run]
    # A daemon with another store may listen on the usual port.
    return [
        f"OLLAMA_HOST={SPARE_ADDRESS} OLLAMA_MODELS={place} ollama serve",
        f"OLLAMA_HOST={SPARE_ADDRESS} {run}",
    ]
