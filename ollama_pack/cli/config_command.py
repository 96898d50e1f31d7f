"""The command ``ollama-pack config``."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource, iter_params_for_processing

from ollama_pack.cli import options
from ollama_pack.cli.option_names import (
    PREFIX,
    key_of,
    options_of_all_commands,
    options_of_command,
    variable_of,
)
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.cli.settings import CONFIG_VARIABLE, OPTION_SETTINGS, OptionSettings, SettingsContext
from ollama_pack.errors import one_line
from ollama_pack.pipeline.release.signing import PASSWORD_VARIABLE
from ollama_pack.shown import ADDRESS_VARIABLES, shown_address, without_secrets

_WITHOUT_NAME = "build"
_ADDRESSES = ("OLLAMA_HOST", "OLLAMA_MODELS", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HOME")
_SECRETS = ("HF_TOKEN", "OLLAMA_API_KEY", PASSWORD_VARIABLE)
"""Variables that are shown only as set or not set."""

_KEY_WIDTH = 18
_EACH_COUNTS = frozenset({"parameter"})
"""Options whose values in several places are put together, so that none replaces another."""

_MAY_DIFFER = frozenset({"base", "template", "system"})
"""Options whose value in the author's Modelfile or in the adapter may be overruled by another place."""

_OF_TESTS = f"{PREFIX}TEST_"
"""The prefix of the variables that the tests of this package read."""


@click.command("config", context_settings={"ignore_unknown_options": True})
@click.argument("words", metavar="[COMMAND] [WORD]...", nargs=-1, type=click.UNPROCESSED)
@options.as_json
def config_command(*, words: tuple[str, ...], as_json: bool) -> None:
    """Show every value in force for a command, and where it comes from.

    COMMAND is build by default, and the WORDs are those that would be typed after it. A value
    comes from what is typed, the environment, ollama-pack.toml, Modelfile.txt or the adapter, or it
    is the default of the option. Tokens and passwords are not shown, only whether they are set.

    \b
    Examples:
      ollama-pack config ada-lovelace-lora/
      ollama-pack config release ada-lovelace-lora/ --out dist/
      ollama-pack config test ada-lovelace-lora/ --json
    """
    _, by_command = options_of_all_commands()
    named = words[0] if words and words[0] in by_command else ""
    context = _parsed(named or _WITHOUT_NAME, words[1:] if named else words)
    values, environment = list(_values_of(context)), list(_environment(os.environ))
    unknown = list(_unknown_variables(os.environ, by_command))
    if as_json:
        file = str(context.config.file.path) if context.config else ""
        told = {"values": values, "environment": environment, "unknown": unknown}
        print_json("config", {"command": context.info_name, "file": file, **told})
        return
    for each in values:
        origin = " ".join(filter(None, (each["source"], each["where"])))
        say(f"{each['value'] or '-'}  ({origin})", f"{each['key']:<{_KEY_WIDTH}}  ")
        for other in each["instead_of"]:
            place = " ".join(filter(None, (other["source"], other["where"])))
            say(f"instead of {other['value'] or '-'}  ({place})", f"{'':<{_KEY_WIDTH}}  ")
    for each in environment:
        say(each["value"], f"{each['variable']:<{_KEY_WIDTH}}  ")
    for each in unknown:
        meant = f"; did you mean {each['nearest']}?" if each["nearest"] else ""
        say(f"{each['variable']} stands for no option{meant}", f"{'note':<{_KEY_WIDTH}}  ")


def _parsed(name: str, words: Sequence[str]) -> SettingsContext:
    """Return the context of a command with its words parsed; arguments that are missing are no error.

    Raises:
        click.UsageError: a word or a value is wrong.
    """
    here = click.get_current_context()
    group = here.parent.command if here.parent else None
    command = group.get_command(here, name) if isinstance(group, click.Group) else None
    assert command is not None, "the group lists it"
    config = here.config if isinstance(here, SettingsContext) else None
    context = SettingsContext(command, info_name=name, parent=here.parent)
    known = {str(each.name): each for each in options_of_command(command)}
    context.meta[OPTION_SETTINGS] = OptionSettings(name, known, config, os.environ)
    with context.scope(cleanup=False):
        given, rest, order = command.make_parser(context).parse_args(list(words))
        for param in iter_params_for_processing(order, command.get_params(context)):
            if param.expose_value:
                try:
                    _, rest = param.handle_parse_result(context, given, rest)
                except click.MissingParameter:
                    continue
    if rest:
        raise click.UsageError(f"Too many arguments: {', '.join(rest)}.", context)
    return context


def _values_of(context: SettingsContext) -> Iterator[dict[str, Any]]:
    """Yield every option of a command with its value, and where the value comes from."""
    inherited = _of_directory(context)
    for option in options_of_command(context.command):
        name, key = str(option.name), key_of(option)
        source = context.get_parameter_source(name)
        setting = context.setting_of(name) if source is ParameterSource.DEFAULT_MAP else None
        told = {"key": key, "variable": variable_of(str(context.info_name), key)}
        if key == "parameter" and source is not ParameterSource.DEFAULT and key in inherited:
            value, kind, where = inherited[key]
            yield {**told, "value": value, "source": kind, "where": where, "instead_of": []}
        values = _option_text(context.params.get(name))
        typed_name = _typed_name(context) if key == "name" else ""
        if typed_name:
            found = {"value": typed_name, "source": "typed", "where": ""}
        elif setting is not None:
            kind = "environment" if setting.origin == told["variable"] else "file"
            found = {"value": values, "source": kind, "where": setting.origin}
        elif source is ParameterSource.DEFAULT and key in inherited:
            found = dict(zip(("value", "source", "where"), inherited[key], strict=True))
        else:
            kind = "typed" if source is ParameterSource.COMMANDLINE else "default"
            found = {"value": values, "source": kind, "where": ""}
        others = [] if key in _EACH_COUNTS else list(_settings_given(context, name, told["variable"]))
        others += (
            [dict(zip(found, inherited[key], strict=True))] if key in _MAY_DIFFER & inherited.keys() else []
        )
        others = [each for each in others if each["value"] != found["value"]]
        yield {**told, **found, "instead_of": others if found["source"] != "default" else []}


def _settings_given(context: SettingsContext, name: str, variable: str) -> Iterator[dict[str, str]]:
    """Yield the values of an option in the environment and the file; the first one is in force."""
    for each in context.settings_of(name):
        kind = "environment" if each.origin == variable else "file"
        value = each.value
        text = _option_text(tuple(value) if isinstance(value, list) else value)
        yield {"value": text, "source": kind, "where": each.origin}


def _of_directory(context: SettingsContext) -> dict[str, tuple[str, str, str]]:
    """Return what the adapter of a command and its author's Modelfile say: key → value, source and place.

    A PARAMETER that an option gives too is left out.
    """
    from ollama_pack.pipeline.in_force import values_of_directory
    from ollama_pack.pipeline.request import Request

    places = [Path(each) for each in context.places() if Path(each).is_dir()]
    if not places:
        return {}
    found = values_of_directory(Request(directory=places[0], adapter=context.params.get("adapter") or ""))
    single: dict[str, tuple[str, str, str]] = {}
    for each in found:
        if each.key != "parameter":
            single.setdefault(each.key, (each.value, each.source, each.where))
    given = {key for key, _ in context.params.get("parameters") or ()}
    pairs = [each for each in found if each.key == "parameter" and each.value.partition("=")[0] not in given]
    if pairs:
        told = ", ".join(each.value for each in pairs)
        single["parameter"] = (told, pairs[0].source, pairs[0].where)
    return single


def _typed_name(context: SettingsContext) -> str:
    """Return the name that is typed as an argument, or an empty text."""
    if name := context.params.get("name"):
        return str(name)
    words = context.params.get("arguments") or ()
    count = max(1, len(context.params.get("weights") or ()))
    return str(words[count]) if len(words) == count + 1 and not Path(words[count]).is_dir() else ""


def _option_text(value: Any) -> str:
    """Return the value of an option as it would be typed, several separated by commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        pairs = ["=".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value]
        return without_secrets(one_line(", ".join(pairs)))
    return "" if value is None else without_secrets(one_line(str(value)))


def _environment(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the variables that are read but stand for no option, without their secrets."""
    for name in (*_ADDRESSES, CONFIG_VARIABLE):
        if value := environment.get(name):
            text = shown_address(value) if name in ADDRESS_VARIABLES else without_secrets(value, environment)
            yield {"variable": name, "value": one_line(text)}
    for name in _SECRETS:
        if environment.get(name):
            yield {"variable": name, "value": "set, and not shown"}


def _unknown_variables(
    environment: Mapping[str, str], by_command: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, str]]:
    """Yield the variables with the prefix of this package that stand for no option, and the nearest one."""
    known = {variable_of(name, key) for name, keys in by_command.items() for key in keys}
    known |= {CONFIG_VARIABLE, PASSWORD_VARIABLE}
    for name in sorted(set(environment) - known):
        if name.startswith(PREFIX) and not name.startswith(_OF_TESTS):
            yield {"variable": name, "nearest": next(iter(difflib.get_close_matches(name, known, 1)), "")}
