"""``ollama-pack bases``."""

from typing import TYPE_CHECKING, Any

import click

from ollama_pack.archs import ARCHS
from ollama_pack.cli import options
from ollama_pack.cli.speech import print_json

if TYPE_CHECKING:
    from ollama_pack.bases.catalog import CatalogEntry


@click.command("bases")
@click.argument("search", required=False, default="")
@options.as_json
def command(*, search: str, as_json: bool) -> None:
    """List the bases that are known by name, or those that contain SEARCH.

    The first column says whether an adapter of it builds: "yes" by its name alone, "gguf" with
    --base FILE.gguf, "no" while its architecture has no row.

    \b
    Example:
      ollama-pack bases vicuna
    """
    from ollama_pack.bases.catalog import load_catalog

    wanted = search.lower()
    found = [
        entry
        for entry in load_catalog()
        if wanted in " ".join((entry.source_id, entry.tag, *entry.aliases)).lower()
    ]
    if as_json:
        print_json("bases", {"bases": [entry_facts(entry) for entry in found]})
        return
    if found:
        click.echo(f"{'builds':<6}  {'Ollama model':<36}  {'architecture':<12}  Hugging Face id")
    for entry in found:
        row = (builds(entry), entry.tag or "-", entry.arch or "-", entry.source_id)
        click.echo("{:<6}  {:<36}  {:<12}  {}".format(*row))
    if not found:
        click.echo(f"No base contains {search!r}.", err=True)


def builds(entry: "CatalogEntry") -> str:
    """Return whether an adapter of this base can be built: ``yes``, ``gguf`` or ``no``."""
    if entry.arch and entry.arch not in {arch.name for arch in ARCHS}:
        return "no"
    return "yes" if entry.arch and entry.tag else "gguf"


def entry_facts(entry: "CatalogEntry") -> dict[str, Any]:
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
