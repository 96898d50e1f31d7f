"""Turns the arguments and options of a command into a `Request`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.options import PROOF

if TYPE_CHECKING:
    from ollama_pack.pipeline.request import Request


def require_store_is_used(via: str, store: Path | None) -> None:
    """Require that the way in goes into a store, where one is named.

    Raises:
        click.UsageError: the daemon would put the model elsewhere, without a word.
    """
    if store is not None and via in ("create", "pull"):
        raise click.UsageError(f"--via {via} goes into the daemon's own store; --store needs --via store.")


def one_name(argument: str, option: str) -> str:
    """Return the name that is given as an argument or as an option.

    Raises:
        click.UsageError: both are given, and differ.
    """
    if argument and option and argument != option:
        raise click.UsageError(f"Two names are given: {argument} and --name {option}.")
    return argument or option


def split_sources(arguments: Sequence[str], weights: Sequence[float]) -> tuple[Sequence[Path], str]:
    """Return the directories, one for each weight and one at least, and the name behind them.

    Raises:
        click.UsageError: there are too few directories for the weights, or too many arguments.
    """
    count = max(1, len(weights))
    if len(arguments) < count:
        raise click.UsageError(f"{count} weights need {count} directories; {len(arguments)} is given.")
    directories, rest = [Path(each) for each in arguments[:count]], arguments[count:]
    first = Path(rest[0]) if rest else Path()
    if rest and first.is_dir() and (len(rest) > 1 or len(first.parts) > 1 or is_adapter(first)):
        raise click.UsageError(
            f"To build the sum of several adapters, give each its weight: --weight 1 for {rest[0]} as it is."
        )
    if len(rest) > 1:
        raise click.UsageError(f"Too many arguments: {', '.join(map(str, rest[1:]))}.")
    return directories, rest[0] if rest else ""


def is_adapter(directory: Path) -> bool:
    """Return whether an adapter lies at the top of a directory."""
    from ollama_pack.lora.peft.directory import CONFIG_FILE

    return (directory / CONFIG_FILE).is_file()


def request_from(chosen: Mapping[str, Any]) -> "Request":
    """Return what the pipeline is asked for, from the options of `build`.

    Raises:
        click.UsageError: what is given does not go together.
    """
    from ollama_pack.pipeline.request import Request

    if chosen.get("checkpoint") and chosen["weights"]:
        raise click.UsageError("--checkpoint is of one run; name the directories of checkpoints to sum them.")
    directories, name = split_sources(chosen["arguments"], chosen["weights"])
    require_store_is_used(chosen["via"], chosen["store"])
    return Request(
        directory=directories[0],
        others=tuple(directories[1:]),
        weights=chosen["weights"],
        scale=chosen["scale"],
        adapter=chosen["adapter"],
        allow_noop=chosen["allow_noop"],
        load=chosen["load"],
        merge=chosen["merge"],
        name=one_name(name, chosen["name_option"]),
        base=chosen["base"],
        via=chosen["via"],
        template=chosen["template"],
        system=chosen["system"],
        parameters=chosen["parameters"],
        outtype=chosen["outtype"],
        out=chosen["out"],
        store=chosen["store"],
        **{key: chosen[key] for key in PROOF},
    )
