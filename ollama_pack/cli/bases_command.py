"""``ollama-pack bases``."""

from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.speech import print_json

if TYPE_CHECKING:
    from ollama_pack.bases.catalog import CatalogEntry


@click.command("bases")
@click.argument("search", required=False, default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(*, search: str, as_json: bool) -> None:
    """List the bases that are known by name, or those that contain SEARCH.

    Each line: the Ollama model, its architecture, the Hugging Face id. Where there is no
    architecture, the numbers of a conversion are not known: give --base a GGUF file.

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
    for entry in found:
        click.echo(f"{entry.tag or '-':<40}  {entry.arch or '-':<10}  {entry.source_id}")
    if not found:
        click.echo(f"No base contains {search!r}.", err=True)


def entry_facts(entry: "CatalogEntry") -> dict[str, Any]:
    """Return a row of the catalog."""
    return {
        "source_id": entry.source_id,
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
