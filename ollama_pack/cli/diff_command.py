"""The command ``ollama-pack diff``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli import options, path_types
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.errors import one_line

if TYPE_CHECKING:
    from ollama_pack.lora.diff import AdapterDiff, Change
    from ollama_pack.lora.spectrum import Spectrum


MOST_SHOWN = 20


@click.command("diff")
@click.argument("first", metavar="A", type=path_types.SOURCE_PATH, shell_complete=options.DIRECTORY_PATHS)
@click.argument("second", metavar="B", type=path_types.SOURCE_PATH, shell_complete=options.DIRECTORY_PATHS)
@click.option(
    "-v", "--verbose", is_flag=True, help="Print a line for each module, not for each kind of module."
)
@options.as_json
def diff_command(*, first: Path, second: Path, verbose: bool, as_json: bool) -> None:
    """Compare the adapters or checkpoints A (before) and B (after).

    For each weight this shows the cosine of the two ΔW (1 means the same direction), the Frobenius norm of
    each ΔW, and how many singular directions hold 99 % of it. Then it shows the differences in
    adapter_config.json and in the tokenizer. ΔW itself is never computed, so that large adapters take seconds
    only.

    \b
    Example:
      ollama-pack diff ada-lora/checkpoint-10 ada-lora/checkpoint-20
    """
    from ollama_pack.lora.diff import compare
    from ollama_pack.lora.peft.directory import resolve_directory
    from ollama_pack.lora.peft.load import load_adapter
    from ollama_pack.lora.peft.tokenizer import read_tokenizer

    directories = [resolve_directory(each) for each in (first, second)]
    adapters = [load_adapter(each, allow_noop=True) for each in directories]
    vocabularies = [read_tokenizer(each.home)[0] for each in directories]
    diff = compare(adapters[0], adapters[1], *vocabularies)
    if as_json:
        print_json("diff", diff_facts(diff))
        return
    if diff.same:
        say("The two adapters are the same.")
        return
    lines = _modules(diff) if verbose else _kinds(diff)
    for label, line in (*lines, *_changed_settings(diff), *_changed_tokens(diff)):
        say(line, label)


def _kinds(diff: "AdapterDiff") -> Iterator[tuple[str, str]]:
    """Yield each kind of module, and the range of the cosine with the median norms and directions."""
    yield f"{'module':<14} ", f"{'weights':>7}  {'cosine':<20}  {'‖ΔW‖ A → B':<22}  {'directions A → B'}"
    kinds: dict[str, list[Change]] = {}
    for change in diff.changes:
        kinds.setdefault(change.module.rpartition(".")[2], []).append(change)
    for kind, changes in kinds.items():
        cosines = sorted(each.cosine for each in changes if each.cosine is not None)
        cosine = f"{cosines[0]:.4f}…{cosines[-1]:.4f}" if cosines else "-"
        sizes = [
            _median_size_and_rank([getattr(each, side) for each in changes]) for side in ("before", "after")
        ]
        norms = f"{sizes[0][0]} → {sizes[1][0]}"
        used = f"{sizes[0][1]} → {sizes[1][1]}"
        yield f"{one_line(kind):<14} ", f"{len(changes):>7}  {cosine:<20}  {norms:<22}  {used}"


def _median_size_and_rank(spectra: "list[Spectrum | None]") -> tuple[str, str]:
    """Return the median norm and the median number of directions, or dashes if a side has no weight."""
    present = [each for each in spectra if each is not None]
    if not present:
        return "-", "-"
    norms, used = sorted(each.norm for each in present), sorted(each.effective_rank for each in present)
    return f"{norms[len(norms) // 2]:.4g}", str(used[len(used) // 2])


def _modules(diff: "AdapterDiff") -> Iterator[tuple[str, str]]:
    """Yield the cosine of each module, and the rest of its line."""
    yield f"{'cosine':>8}  ", f"{'‖ΔW‖ A':>9}  {'‖ΔW‖ B':>9}  {'directions':>10}  module"
    for change in diff.changes:
        cosine = "-" if change.cosine is None else f"{change.cosine:.5f}"
        norms = [f"{each.norm:.4g}" if each else "-" for each in (change.before, change.after)]
        used = "→".join(str(each.effective_rank) if each else "-" for each in (change.before, change.after))
        shapes = f"  shapes {change.shapes[0]} and {change.shapes[1]}" if change.shapes else ""
        yield f"{cosine:>8}  ", f"{norms[0]:>9}  {norms[1]:>9}  {used:>10}  {one_line(change.module)}{shapes}"


def _changed_settings(diff: "AdapterDiff") -> Iterator[tuple[str, str]]:
    """Yield a line for each setting of adapter_config.json that differs."""
    if diff.settings:
        yield "", ""
    for key, (before, after) in diff.settings.items():
        yield f"{one_line(key)}: ", f"{_short_value(before)} → {_short_value(after)}"


def _short_value(value: Any) -> str:
    """Return a value as JSON, 60 characters at most."""
    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _changed_tokens(diff: "AdapterDiff") -> Iterator[tuple[str, str]]:
    """Yield a line for each special token and each token that differs, `MOST_SHOWN` tokens at most."""
    if diff.tokens or diff.special:
        yield "", ""
    for kind, (before, after) in diff.special.items():
        yield f"{kind}: ", f"{before} → {after}"
    for number, (one, other) in list(diff.tokens.items())[:MOST_SHOWN]:
        yield f"token {number}: ", f"{one!r} → {other!r}"
    if len(diff.tokens) > MOST_SHOWN:
        yield "", f"and {len(diff.tokens) - MOST_SHOWN} more tokens"


def diff_facts(diff: "AdapterDiff") -> dict[str, Any]:
    """Return the JSON object of a comparison."""
    return {
        "same": diff.same,
        "modules": [_change_facts(change) for change in diff.changes],
        "settings": {key: {"before": a, "after": b} for key, (a, b) in diff.settings.items()},
        "tokenizers_compared": diff.compared,
        "tokens": {str(number): {"before": a, "after": b} for number, (a, b) in diff.tokens.items()},
        "special": {kind: {"before": a, "after": b} for kind, (a, b) in diff.special.items()},
    }


def _change_facts(change: "Change") -> dict[str, Any]:
    """Return the JSON object of the change of a weight."""
    sides = {
        name: {"norm": each.norm, "rank": each.rank, "used": each.effective_rank} if each else None
        for name, each in (("before", change.before), ("after", change.after))
    }
    return {"module": change.module, "cosine": change.cosine, "growth": change.growth, **sides}
