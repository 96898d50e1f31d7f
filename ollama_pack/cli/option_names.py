"""What an option is called outside of the command line: its key in ollama-pack.toml, and its variable."""

from functools import cache

import click

CONFIG_NAME = "ollama-pack.toml"
PREFIX = "OLLAMA_PACK_"

OWN_MEANING: dict[str, tuple[str, ...]] = {
    "out": (),
    "report": (),
    "via": (),
    "key": (),
    "checkpoint": ("try",),
    "prompt": ("try", "test"),
}
"""Options that mean something else in these commands than elsewhere; () for something else in each."""

_NEITHER = frozenset({"help", "config"})


def key_of(option: click.Option) -> str:
    """Return the key of an option: its long name, as it is typed."""
    return next(each for each in option.opts if each.startswith("--")).removeprefix("--")


def has_own_meaning(command: str, key: str) -> bool:
    """Return whether an option means something in a command that it means nowhere else."""
    return key in OWN_MEANING and command in (OWN_MEANING[key] or (command,))


def variable_of(command: str, key: str) -> str:
    """Return the variable of the environment that stands for an option.

    There is one for each meaning: ``OLLAMA_PACK_BASE``, but ``OLLAMA_PACK_BUILD_OUT``.
    """
    words = (command, key) if has_own_meaning(command, key) else (key,)
    return PREFIX + "_".join(words).upper().replace("-", "_")


def options_of_command(command: click.Command) -> list[click.Option]:
    """Return the options of a command that a variable or a file may give."""
    found = [each for each in command.params if isinstance(each, click.Option)]
    return [each for each in found if key_of(each) not in _NEITHER]


def by_key(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command by their keys."""
    return {key_of(option): option for option in options_of_command(command)}


@cache
def options_of_all_commands() -> tuple[dict[str, click.Option], dict[str, dict[str, click.Option]]]:
    """Return the options that mean one thing in all commands, and those of each command, by their keys."""
    from ollama_pack.cli.app import COMMAND_GROUPS, main

    commands = {name: main.get_command(click.Context(main), name) for name in COMMAND_GROUPS}
    each = {name: by_key(command) for name, command in commands.items() if command is not None}
    general = {
        key: option
        for name, options in each.items()
        for key, option in options.items()
        if not has_own_meaning(name, key)
    }
    return general, each
