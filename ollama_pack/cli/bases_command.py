"""The command ``ollama-pack bases``."""

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
    """List the known base models, or those whose name contains SEARCH.

    The first column says whether an adapter for this base can be built: "yes" means by its name alone, "gguf"
    means with --base FILE.gguf, and "no" means that its architecture is not supported. A star marks installed
    models.

    \b
    Example:
      ollama-pack bases vicuna
    """
    from ollama_pack.base.catalog import load_catalog
    from ollama_pack.base.installed import installed_names
    from ollama_pack.ollama.locations import locations_from

    installed = {name.display.lower() for name in installed_names(locations_from(os.environ, store=store))}
    wanted = search.lower()
    entries = [
        entry
        for entry in load_catalog()
        if wanted in " ".join((entry.source_id, entry.tag, *entry.aliases)).lower()
    ]
    if as_json:
        rows = [
            {**catalog_entry_json(entry), "installed": is_installed(entry, installed)} for entry in entries
        ]
        print_json("bases", {"bases": rows, "installed": sorted(installed)})
        return
    if entries:
        click.echo(f"{'builds':<6}  {'Ollama model':<36}  {'architecture':<12}  Hugging Face id")
    for entry in entries:
        row = (
            builds(entry),
            f"{entry.tag or '-'}{' *' * is_installed(entry, installed)}",
            entry.arch or "-",
            entry.source_id,
        )
        click.echo("{:<6}  {:<36}  {:<12}  {}".format(*row))
    catalog_tags = {tag.lower() for entry in load_catalog() for tag in entry.tags}
    others = [name for name in sorted(installed - catalog_tags) if wanted in name]
    for name in others:
        click.echo(f"{'':<6}  {name} *")
    if not entries and not others:
        click.echo(f"No base has a name that contains {search!r}.", err=True)


def is_installed(entry: "CatalogEntry", installed: Collection[str]) -> bool:
    """Return whether one of the Ollama models of a catalog entry is installed."""
    return any(tag.lower() in installed for tag in entry.tags)


def builds(entry: "CatalogEntry") -> str:
    """Return whether an adapter for this base can be built: ``yes``, ``gguf`` (with a file) or ``no``."""
    arch = get_arch(entry.arch)
    if entry.arch and arch is None:
        return "no"
    return "yes" if arch is not None and entry.tag and not arch.needs_ssm_sizes else "gguf"


def catalog_entry_json(entry: "CatalogEntry") -> dict[str, Any]:
    """Return the JSON object of a catalog entry."""
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
