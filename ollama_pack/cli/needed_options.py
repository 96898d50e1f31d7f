"""Options that only mean something with another one, which is said instead of passing them over."""

import click

from ollama_pack.cli.merge_options import MERGING
from ollama_pack.errors import UsageError


def require_their_options(*, merge: bool) -> None:
    """Reject options that were typed and that the form which is made of an adapter would ignore.

    What ollama-pack.toml or a variable gives counts for the commands and the models that it is for.

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
        f"{name} is for an adapter that stays a file of its own, and --merge makes none."
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
