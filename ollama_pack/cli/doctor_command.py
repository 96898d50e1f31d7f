"""The command ``ollama-pack doctor``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.events.terminal import STAGE_WIDTH
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.errors import DestinationError

if TYPE_CHECKING:
    from ollama_pack.doctor.findings import Checkup, StoreSeen


@click.command("doctor")
@options.model_store
@click.option("--load/--no-load", default=True, help="Load a model for a moment, if none is loaded.")
@options.as_json
@click.pass_context
def doctor_command(ctx: click.Context, /, *, store: Path | None, load: bool, as_json: bool) -> None:
    """Check which deliveries work with this Ollama, and which models with an adapter would not run.

    Nothing is changed. To see whether Ollama can run a model, the smallest one is loaded for a moment if none
    is loaded; --no-load skips this. The exit code is 6 if no delivery works.

    \b
    Example:
      ollama-pack doctor
    """
    from ollama_pack.doctor.examine import examine
    from ollama_pack.ollama.locations import locations_from

    checkup = examine(locations_from(os.environ, store=store), load=load)
    if as_json:
        print_json("doctor", checkup_facts(checkup))
    else:
        show(checkup)
    ctx.exit(0 if any(way.open for way in checkup.ways) else DestinationError.exit_code)


def show(checkup: "Checkup") -> None:
    """Print the result of a checkup."""
    daemon = f"Ollama {checkup.version}" if checkup.version else checkup.trouble
    print_line("daemon", f"{daemon} at {checkup.address}")
    for way in checkup.ways:
        print_line("delivery", f"{way.via:<7} {'works      ' if way.open else 'unavailable'}  {way.why}")
    for store in checkup.stores:
        print_line("store", store_line(store))
    if not checkup.stores:
        print_line("store", "no store found")
    state = {True: "works", False: "does not run a model", None: "unknown"}[checkup.runner.works]
    print_line("runner", f"{state}  {checkup.runner.why}")
    for finding in checkup.findings:
        say()
        print_line(finding.level, f"{finding.about}: {finding.what}")
        print_line("  fix", finding.fix)
    if not checkup.findings:
        say()
        print_line("ok", "no problem found")


def print_line(label: str, text: str) -> None:
    """Print one line after its label."""
    say(text, f"{label:<{STAGE_WIDTH}}", level=label)


def store_line(store: "StoreSeen") -> str:
    """Return the facts of a store in one line."""
    access = "" if store.writable else ", not writable by you"
    merged = f", {len(store.merged)} with one merged in" if store.merged else ""
    return (
        f"{store.path}  {store.layout}, owner {store.owner}{access}, {store.free / 1e9:.1f} GB free, "
        f"{store.models} model{'s' * (store.models != 1)}, {len(store.adapted)} with an adapter{merged}"
    )


def checkup_facts(checkup: "Checkup") -> dict[str, Any]:
    """Return the JSON object of a checkup."""
    return {
        "daemon": {"address": checkup.address, "version": checkup.version},
        "ways": [{"via": way.via, "open": way.open, "why": way.why} for way in checkup.ways],
        "stores": [
            {
                "path": store.path.as_posix(),
                "layout": store.layout,
                "owner": store.owner,
                "writable": store.writable,
                "free_bytes": store.free,
                "models": store.models,
                "adapted": list(store.adapted),
                "merged": list(store.merged),
            }
            for store in checkup.stores
        ],
        "runner": {"works": checkup.runner.works, "why": checkup.runner.why},
        "findings": [
            {"level": finding.level, "about": finding.about, "what": finding.what, "fix": finding.fix}
            for finding in checkup.findings
        ],
    }
