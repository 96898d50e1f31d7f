"""The command ``ollama-pack checkpoints``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ollama_pack.cli import options
from ollama_pack.cli.json_output import checkpoint_facts
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.disk.files import megabytes

if TYPE_CHECKING:
    from ollama_pack.run.checkpoints import Checkpoint


TABLE_FORMAT = "{:>7}  {:>8}  {:>9}  {:>9}  {:>10}  {:<9}  {:<12}  {}"


@click.command("checkpoints")
@options.directory
@options.as_json
def checkpoints_command(*, directory: Path, as_json: bool) -> None:
    """List the checkpoints of the training run in DIR, with the values logged at each.

    "resumable" says whether training can continue from the checkpoint: its optimizer, scheduler and log are
    present. "weights" is the start of the digest of the adapter's weights.

    \b
    Examples:
      ollama-pack checkpoints ada-lovelace-lora/
      ollama-pack build ada-lovelace-lora/ --checkpoint best
    """
    from ollama_pack.run.checkpoints import list_checkpoints, same_weights_as, weights_in

    checkpoints = list_checkpoints(directory)
    root = same_weights_as(weights_in(directory), checkpoints)
    if as_json:
        rows = [
            {**checkpoint_facts(each, is_root=each is root), "digest": each.digest()} for each in checkpoints
        ]
        print_json("checkpoints", {"directory": directory.as_posix(), "checkpoints": rows})
        return
    if not checkpoints:
        say(f"There are no checkpoints in {directory}.", err=True)
        return
    titles = ("epoch", "loss", "eval loss", "rate", "size", "resumable", "weights", "")
    say(TABLE_FORMAT.format(*titles), f"{'step':>8}  ")
    for each in checkpoints:
        texts = ", ".join(remarks(each, is_root=each is root))
        say(TABLE_FORMAT.format(*cells(each), texts), f"{each.step:>8}  ")


def cells(each: "Checkpoint") -> tuple[object, ...]:
    """Return the cells of a checkpoint's row behind its step; an unknown value is a dash."""
    log = each.log
    measured = [log.last(name) if log else None for name in ("loss", "eval_loss", "learning_rate")]
    loss, eval_loss, rate = ("-" if value is None else f"{value:.4g}" for value in measured)
    epoch = f"{log.epoch:.2f}" if log else "-"
    resumable = "yes" if each.resumable else "no"
    digest = each.digest().removeprefix("sha256:")[:12]
    return epoch, loss, eval_loss, rate, megabytes(each.size), resumable, digest or "none"


def remarks(each: "Checkpoint", *, is_root: bool) -> list[str]:
    """Return the remarks on a checkpoint: whether it is the best, what it lacks, and its note."""
    texts = ["best"] if each.is_best else []
    texts += ["same weights as the adapter at the top"] if is_root else []
    texts += [f"no {piece}" for piece in each.lacks]
    return texts + ([each.note] if each.note else [])
