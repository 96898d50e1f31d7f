"""Rejects options that have no effect without another option, instead of ignoring them."""

import click

from ollama_pack.cli.merge_options import MERGING
from ollama_pack.errors import UsageError


def require_their_options(*, merge: bool) -> None:
    """Reject typed options that have no effect on the form in which the adapter is delivered.

    An option from ollama-pack.toml or a variable is not rejected, because it may be for other commands.

    Args:
        merge: whether the adapter is merged into its base.

    Raises:
        UsageError: an option of a merged file is typed without --merge, or the type of an adapter with it.
    """
    typed = [option for option in _typed() if (option.name == "outtype" if merge else option.name in MERGING)]
    if not typed:
        return
    name = next(each for each in typed[0].opts if each.startswith("--"))
    raise UsageError(
        f"{name} is for a separate GGUF LoRA file, and with --merge none is made."
        if merge
        else f"{name} is for a merged file, and without --merge none is made.",
        hint="--merge-type  in its place" if merge else "--merge  beside it",
        code="bad-option",
    )


def _typed() -> list[click.Option]:
    """Return the options of the command that the user typed, in the order of the command."""
    context = click.get_current_context()
    return [
        each
        for each in context.command.params
        if isinstance(each, click.Option)
        and context.get_parameter_source(str(each.name)) is click.core.ParameterSource.COMMANDLINE
    ]
