"""``ollama-pack bases``."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.arch.table import get_arch
from ollama_pack.cli import options
from ollama_pack.cli.output import print_json

if TYPE_CHECKING:
    from ollama_pack.base.catalog import CatalogEntry


@click.command("bases")
@click.argument("search", required=False, default="")
@options.model_store
@options.as_json
def bases_command(*, search: str, store: Path | None, as_json: bool) -> None:
    """List the bases that are known by name, or those that contain SEARCH.

    The first column says whether an adapter of it builds: "yes" by its name alone, "gguf" with
    --base FILE.gguf, "no" while its architecture has no row. A star marks models that are installed.

    \b
    Example:
      ollama-pack bases vicuna
    """
    from ollama_pack.base.catalog import load_catalog
    from ollama_pack.base.installed import installed_names
    from ollama_pack.ollama.locations import locations_from

    here = {name.display.lower() for name in installed_names(locations_from(os.environ, store=store))}
    wanted = search.lower()
    found = [
        entry
        for entry in load_catalog()
        if wanted in " ".join((entry.source_id, entry.tag, *entry.aliases)).lower()
    ]
    if as_json:
        rows = [{**catalog_entry_json(entry), "installed": is_here(entry, here)} for entry in found]
        print_json("bases", {"bases": rows, "installed": sorted(here)})
        return
    if found:
        click.echo(f"{'builds':<6}  {'Ollama model':<36}  {'architecture':<12}  Hugging Face id")
    for entry in found:
        row = (
            builds(entry),
            f"{entry.tag or '-'}{' *' * is_here(entry, here)}",
            entry.arch or "-",
            entry.source_id,
        )
        click.echo("{:<6}  {:<36}  {:<12}  {}".format(*row))
    own = sorted(here - {tag.lower() for entry in load_catalog() for tag in entry.tags})
    own = [name for name in own if wanted in name]
    for name in own:
        click.echo(f"{'':<6}  {name} *")
    if not found and not own:
        click.echo(f"No base contains {search!r}.", err=True)


def is_here(entry: "CatalogEntry", here: Collection[str]) -> bool:
    """Return whether one of a row's Ollama models is installed."""
    return any(tag.lower() in here for tag in entry.tags)


def builds(entry: "CatalogEntry") -> str:
    """Return whether an adapter of this base can be built: ``yes``, ``gguf`` or ``no``."""
    arch = get_arch(entry.arch)
    if entry.arch and arch is None:
        return "no"
    return "yes" if arch is not None and entry.tag and not arch.needs_ssm_sizes else "gguf"


def catalog_entry_json(entry: "CatalogEntry") -> dict[str, Any]:
    """Return a row of the catalog."""
    return {
        "source_id": entry.source_id,
        "builds": builds(entry),
        "aliases": list(entry.aliases),
        "tags": list(entry.tags),
        "quantisation": entry.quant,
        "confidence": entry.confidence,
        "architecture": entry.arch,
        "class": entry.model_class,
        "blocks": entry.blocks,
        "heads": entry.heads,
        "kv_heads": entry.kv_heads,
        "head_dim": entry.head_dim,
        "hidden": entry.hidden,
        "vocabulary": entry.vocab,
        "notes": list(entry.notes),
    }
