"""``ollama-pack doctor``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.output import STAGE_WIDTH, color, print_json
from ollama_pack.errors import DestinationError, printable

if TYPE_CHECKING:
    from ollama_pack.doctor.findings import Checkup, StoreSeen


@click.command("doctor")
@options.model_store
@options.as_json
@click.pass_context
def doctor_command(ctx: click.Context, /, *, store: Path | None, as_json: bool) -> None:
    """Look at Ollama: which ways in are open, and which models with an adapter would not run.

    Nothing is changed and nothing is loaded. The exit code is 6 where no way in is open.

    \b
    Example:
      ollama-pack doctor
    """
    from ollama_pack.doctor.examine import examine
    from ollama_pack.ollama.locations import locations_from

    seen = examine(locations_from(os.environ, store=store))
    if as_json:
        print_json("doctor", checkup_facts(seen))
    else:
        show(seen)
    ctx.exit(0 if any(way.open for way in seen.ways) else DestinationError.exit_code)


def show(seen: "Checkup") -> None:
    """Print one screen."""
    answer = f"Ollama {seen.version}" if seen.version else seen.trouble
    say("daemon", f"{answer} at {seen.address}")
    for way in seen.ways:
        say("way in", f"{way.via:<7} {'open  ' if way.open else 'closed'}  {way.why}")
    for store in seen.stores:
        say("store", store_line(store))
    if not seen.stores:
        say("store", "none here")
    say("runner", str(seen.runner) if seen.runner else "no llama-server found")
    for finding in seen.findings:
        click.echo()
        say(finding.level, f"{finding.about}: {finding.what}")
        say("  fix", finding.fix)
    if not seen.findings:
        click.echo()
        say("fine", "nothing is wrong")


def say(label: str, text: str) -> None:
    """Print one line with its label."""
    click.echo(click.style(f"{label:<{STAGE_WIDTH}}", bold=True) + printable(text), color=color())


def store_line(store: "StoreSeen") -> str:
    """Return what a store is, in a line."""
    access = "" if store.writable else ", not to be written by you"
    return (
        f"{store.path}  {store.layout}, of {store.owner}{access}, {store.free / 1e9:.1f} GB free, "
        f"{store.models} model{'s' * (store.models != 1)}, {len(store.adapted)} with an adapter"
    )


def checkup_facts(seen: "Checkup") -> dict[str, Any]:
    """Return what was seen."""
    return {
        "daemon": {"address": seen.address, "version": seen.version},
        "ways": [{"via": way.via, "open": way.open, "why": way.why} for way in seen.ways],
        "stores": [
            {
                "path": store.path.as_posix(),
                "layout": store.layout,
                "owner": store.owner,
                "writable": store.writable,
                "free_bytes": store.free,
                "models": store.models,
                "adapted": list(store.adapted),
            }
            for store in seen.stores
        ],
        "runner": seen.runner.as_posix() if seen.runner else "",
        "findings": [
            {"level": found.level, "about": found.about, "what": found.what, "fix": found.fix}
            for found in seen.findings
        ],
    }
