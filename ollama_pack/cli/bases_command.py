"""The command ``ollama-pack bases``."""

import os
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.arch.spec import unknown_sizes
from ollama_pack.arch.table import require_arch
from ollama_pack.cli import options
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.errors import UnsupportedError

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
        say(f"{'Ollama model':<36}  {'architecture':<12}  Hugging Face id", "builds  ")
    for entry in entries:
        tag = f"{entry.tag or '-'}{' *' * is_installed(entry, installed)}"
        say(f"{tag:<36}  {entry.arch or '-':<12}  {entry.source_id}", f"{builds(entry):<6}  ")
    catalog_tags = {tag.lower() for entry in load_catalog() for tag in entry.tags}
    others = [name for name in sorted(installed - catalog_tags) if wanted in name]
    for name in others:
        say(f"{name} *", f"{'':<6}  ")
    if not entries and not others:
        say(f"No base has a name that contains {search!r}.", err=True)


def is_installed(entry: "CatalogEntry", installed: Collection[str]) -> bool:
    """Return whether one of the Ollama models of a catalog entry is installed."""
    return any(tag.lower() in installed for tag in entry.tags)


def builds(entry: "CatalogEntry") -> str:
    """Return whether an adapter for this base can be built: ``yes``, ``gguf`` (with a file) or ``no``.

    As in a build, the architecture must be supported, and an Ollama model and every size must be known.
    """
    from ollama_pack.base.catalog import base_from_entry, why_not_run

    if why_not_run(entry):
        return "no"
    try:
        base = base_from_entry(entry)
    except UnsupportedError:
        return "gguf"
    arch = require_arch(base.hparams.arch)
    return "yes" if base.tag and not unknown_sizes(arch, base.hparams) else "gguf"


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
        "experts": entry.experts,
        "states": asdict(entry.states) if any(asdict(entry.states).values()) else None,
        "rope_base": entry.positions.rope_base or None,
        "context": entry.positions.context or None,
        "norm_epsilon": entry.positions.norm_epsilon or None,
        "hub_gguf": entry.hub_gguf,
        "notes": list(entry.notes),
    }
