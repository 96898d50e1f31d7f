"""``ollama-pack diff``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options
from ollama_pack.cli.output import print_json
from ollama_pack.errors import one_line

if TYPE_CHECKING:
    from ollama_pack.lora.diff import AdapterDiff, Change
    from ollama_pack.lora.spectrum import Spectrum


MOST_SHOWN = 20


@click.command("diff")
@click.argument("first", metavar="A", type=options.PATH)
@click.argument("second", metavar="B", type=options.PATH)
@click.option("-v", "--verbose", is_flag=True, help="Show every module, not one line for each kind.")
@options.as_json
def diff_command(*, first: Path, second: Path, verbose: bool, as_json: bool) -> None:
    """Compare two adapters, or two checkpoints: A before, B after.

    For each weight: the cosine between the two ΔW (1: the same direction), how large each is, and how many
    directions of its rank have 99 % of it. Then what differs in adapter_config.json and in the tokenizer.
    No ΔW is formed, so large adapters take seconds.

    \b
    Example:
      ollama-pack diff ada-lovelace-lora/checkpoint-10 ada-lovelace-lora/checkpoint-20
    """
    from ollama_pack.lora.diff import compare
    from ollama_pack.lora.peft.directory import resolve_directory
    from ollama_pack.lora.peft.load import load_adapter
    from ollama_pack.lora.peft.tokenizer import read_tokenizer

    directories = [resolve_directory(each) for each in (first, second)]
    adapters = [load_adapter(each, allow_noop=True) for each in directories]
    vocabularies = [read_tokenizer(each.home)[0] for each in directories]
    found = compare(adapters[0], adapters[1], *vocabularies)
    if as_json:
        print_json("diff", facts_of(found))
        return
    if found.same:
        click.echo("The two are the same adapter.")
        return
    lines = _modules(found) if verbose else _kinds(found)
    for line in (*lines, *_changed_settings(found), *_changed_tokens(found)):
        click.echo(line)


def _kinds(found: "AdapterDiff") -> Iterator[str]:
    """Yield a line for each kind of module: the least, the middle and the largest cosine, and the sizes."""
    yield f"{'module':<14} {'weights':>7}  {'cosine':<20}  {'‖ΔW‖ A → B':<22}  {'directions A → B'}"
    kinds: dict[str, list[Change]] = {}
    for change in found.changes:
        kinds.setdefault(change.module.rpartition(".")[2], []).append(change)
    for kind, changes in kinds.items():
        cosines = sorted(each.cosine for each in changes if each.cosine is not None)
        angle = f"{cosines[0]:.4f}…{cosines[-1]:.4f}" if cosines else "-"
        sizes = [
            _median_size_and_rank([getattr(each, side) for each in changes]) for side in ("before", "after")
        ]
        norms = f"{sizes[0][0]} → {sizes[1][0]}"
        used = f"{sizes[0][1]} → {sizes[1][1]}"
        yield f"{one_line(kind):<14} {len(changes):>7}  {angle:<20}  {norms:<22}  {used}"


def _median_size_and_rank(spectra: "list[Spectrum | None]") -> tuple[str, str]:
    """Return the median size, and the median number of directions; a dash where there is none."""
    there = [each for each in spectra if each is not None]
    if not there:
        return "-", "-"
    norms, used = sorted(each.norm for each in there), sorted(each.effective_rank for each in there)
    return f"{norms[len(norms) // 2]:.4g}", str(used[len(used) // 2])


def _modules(found: "AdapterDiff") -> Iterator[str]:
    yield f"{'cosine':>8}  {'‖ΔW‖ A':>9}  {'‖ΔW‖ B':>9}  {'directions':>10}  module"
    for change in found.changes:
        angle = "-" if change.cosine is None else f"{change.cosine:.5f}"
        norms = [f"{each.norm:.4g}" if each else "-" for each in (change.before, change.after)]
        used = "→".join(str(each.effective_rank) if each else "-" for each in (change.before, change.after))
        shapes = f"  shapes {change.shapes[0]} and {change.shapes[1]}" if change.shapes else ""
        yield f"{angle:>8}  {norms[0]:>9}  {norms[1]:>9}  {used:>10}  {one_line(change.module)}{shapes}"


def _changed_settings(found: "AdapterDiff") -> Iterator[str]:
    if found.settings:
        yield ""
    for key, (before, after) in found.settings.items():
        yield f"{one_line(key)}: {_short_value(before)} → {_short_value(after)}"


def _short_value(value: Any) -> str:
    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _changed_tokens(found: "AdapterDiff") -> Iterator[str]:
    if found.tokens or found.special:
        yield ""
    for kind, (before, after) in found.special.items():
        yield f"{kind}: {before} → {after}"
    for number, (one, other) in list(found.tokens.items())[:MOST_SHOWN]:
        yield f"token {number}: {one!r} → {other!r}"
    if len(found.tokens) > MOST_SHOWN:
        yield f"and {len(found.tokens) - MOST_SHOWN} more tokens"


def facts_of(found: "AdapterDiff") -> dict[str, Any]:
    """Return what differs."""
    return {
        "same": found.same,
        "modules": [_change_facts(change) for change in found.changes],
        "settings": {key: {"before": one, "after": other} for key, (one, other) in found.settings.items()},
        "tokenizers_compared": found.compared,
        "tokens": {str(at): {"before": one, "after": other} for at, (one, other) in found.tokens.items()},
        "special": {kind: {"before": one, "after": other} for kind, (one, other) in found.special.items()},
    }


def _change_facts(change: "Change") -> dict[str, Any]:
    sides = {
        name: {"norm": each.norm, "rank": each.rank, "used": each.effective_rank} if each else None
        for name, each in (("before", change.before), ("after", change.after))
    }
    return {"module": change.module, "cosine": change.cosine, "growth": change.growth, **sides}
