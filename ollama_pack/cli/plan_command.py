"""The command ``ollama-pack plan``."""

import click

from ollama_pack.cli.error_edge import WORDS
from ollama_pack.cli.option_names import by_key, options_of_all_commands
from ollama_pack.cli.settings import SettingsContext

DRY_RUN = "dry-run"
_UNNAMED = "build"


@click.command("plan", context_settings={"ignore_unknown_options": True})
@click.argument("words", metavar="[COMMAND] [WORD]...", nargs=-1, type=click.UNPROCESSED)
def plan_command(*, words: tuple[str, ...]) -> None:
    """Say what a command would make, move and replace, with bytes, and change nothing.

    COMMAND is build by default; it can be any command that has --dry-run, and the WORDs are those
    that would be typed after it. This is the same as COMMAND WORD... --dry-run.

    \b
    Examples:
      ollama-pack plan ada-lovelace-lora/
      ollama-pack plan build --each collection/*-lora --json
      ollama-pack plan release ada-lovelace-lora/ ada-lovelace:1.0.0 --out dist/
    """
    here = click.get_current_context()
    group = here.parent.command if here.parent else None
    assert isinstance(group, click.Group), "the command is in the group"
    named = words[0] if words and words[0] in group.list_commands(here) else ""
    name, rest = named or _UNNAMED, words[1:] if named else words
    command = group.get_command(here, name)
    assert command is not None, "the group lists it"
    if DRY_RUN not in by_key(command):
        able = [other for other, keys in options_of_all_commands()[1].items() if DRY_RUN in keys]
        raise click.UsageError(f"{name} has no --{DRY_RUN}. These commands have it: {', '.join(able)}.")
    if isinstance(here, SettingsContext) and here.config:
        rest = ("--config", str(here.config.file.path), *rest)
    here.meta[WORDS] = tuple(rest)
    with command.make_context(name, [f"--{DRY_RUN}", *rest], parent=here.parent) as context:
        command.invoke(context)
