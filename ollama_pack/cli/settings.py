"""Where the value of an option comes from if nobody typed it: the environment, then ollama-pack.toml.

click asks `SettingsContext.lookup_default` for every option that was not typed, after the arguments. So one
function knows the order, for all options of all commands. What Modelfile.txt and the adapter say comes after.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ollama_pack.cli.help_page import HelpContext
from ollama_pack.cli.option_names import (
    CONFIG_NAME,
    PREFIX,
    has_own_meaning,
    key_of,
    options_of_command,
    variable_of,
)

if TYPE_CHECKING:
    from ollama_pack.cli.config_file import ConfigFile, ConfiguredModel

PAIRS = "parameters"
"""The parameter of ``--parameter``, of which each place may give some."""

OPTION_SETTINGS = "ollama_pack.settings"
FETCHED_FROM = "ollama_pack.fetched"
JSON_WANTED = "ollama_pack.json"
"""The keys in click's context of the settings, of what was fetched from the Hub (directory → address), and of
whether a setting asks for JSON."""

_YES = ("1", "true", "t", "yes", "y", "on")

CONFIG_VARIABLE = f"{PREFIX}CONFIG"


class Setting(NamedTuple):
    """The value of an option that nobody typed.

    Attributes:
        value: the value, as it would be typed.
        origin: the variable of the environment, or the file with line and key.
    """

    value: Any
    origin: str


class OptionSettings(NamedTuple):
    """What the environment and a file say of the options of a command.

    Attributes:
        command: the name of the command.
        options: its options, by the names of their parameters.
        config: the file, or None if there is none.
        environment: the variables of the process.
    """

    command: str
    options: Mapping[str, click.Option]
    config: "ConfigFile | None"
    environment: Mapping[str, str]

    def lookup(self, name: str, model: "ConfiguredModel | None") -> Setting | None:
        """Return the value of an option that counts, or None if nothing gives one.

        Args:
            name: the name of the option's parameter.
            model: the model of the file that the command is about, if it is about one.
        """
        values = self.all_of(name, model)
        return _pairs_of_places(values) if name == PAIRS else next(iter(values), None)

    def all_of(self, name: str, model: "ConfiguredModel | None") -> list[Setting]:
        """Return every value that the environment and the file give an option, the one that counts first."""
        option = self.options.get(name)
        return list(self._values(option, model)) if option is not None else []

    def _values(self, option: click.Option, model: "ConfiguredModel | None") -> Iterator[Setting]:
        """Yield every setting of an option, the one that counts most first."""
        key = key_of(option)
        variable = variable_of(self.command, key)
        if text := self.environment.get(variable):
            yield Setting(text.splitlines() if option.multiple else text, variable)
        if self.config is None:
            return
        if model is not None and key == "name":
            named = (key,) if key in self.config.file.table("models", model.table) else ()
            yield Setting(model.name, self.config.file.where("models", model.table, *named))
            return  # what other tables say is for a model that has no table
        for table in self.config.tables(self.command, model):
            if table[0] == "commands" or not has_own_meaning(self.command, key):
                value = self.config.value(option, *table)
                if value is not None:
                    yield Setting(value, self.config.file.where(*table, key))


def _pairs_of_places(found: list[Setting]) -> Setting | None:
    """Return PARAMETERs of several places as one: for each key, those of the place that counts most."""
    kept: list[str] = []
    origins = []
    for each in found:
        if new := without_keys_of(each.value, kept):
            origins.append(each.origin)
            kept += new
    return Setting(kept, "; ".join(origins)) if kept else None


def without_keys_of(pairs: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the texts of the form ``KEY=VALUE`` whose keys other texts do not have."""
    seen = {pair.partition("=")[0] for pair in others}
    return [pair for pair in pairs if pair.partition("=")[0] not in seen]


class SettingsContext(HelpContext):
    """The context of a command, in which options that nobody typed have the values of its settings."""

    def invoke(self, called: Any, /, *args: Any, **params: Any) -> Any:
        """Run the command, if the files are there that its options name."""
        from ollama_pack.cli.path_types import require_named_files

        if called is self.command.callback:
            require_named_files(self.command, self.params)
        return super().invoke(called, *args, **params)

    def lookup_default(self, name: str, call: Any = True) -> Any:
        """Return what the environment or the file gives an option, or what click returns for none."""
        found = self.setting_of(name)
        return super().lookup_default(name, call) if found is None else found.value

    def setting_of(self, name: str) -> Setting | None:
        """Return the setting of an option, or None if nothing gives it a value."""
        settings = self.meta.get(OPTION_SETTINGS)
        return settings.lookup(name, self.model) if isinstance(settings, OptionSettings) else None

    def settings_of(self, name: str) -> list[Setting]:
        """Return every setting of an option, the one that counts first; PARAMETERs count key by key."""
        settings = self.meta.get(OPTION_SETTINGS)
        return settings.all_of(name, self.model) if isinstance(settings, OptionSettings) else []

    @property
    def config(self) -> "ConfigFile | None":
        """Return the file of the project, or None if there is none."""
        settings = self.meta.get(OPTION_SETTINGS)
        return settings.config if isinstance(settings, OptionSettings) else None

    about: "ConfiguredModel | None" = None
    """The model of the file that is made, if a command makes each of them."""

    @property
    def model(self) -> "ConfiguredModel | None":
        """Return the model of the file whose adapter the command names; None if it names none or several."""
        if self.about is not None:
            return self.about
        if self.config is None or not self.config.models:
            return None
        fetched = self.meta.get(FETCHED_FROM, {})
        found = {self.config.model_in(fetched.get(place, place)) for place in self.places()} - {None}
        return found.pop() if len(found) == 1 else None

    def places(self) -> Iterator[str]:
        """Yield the arguments that may be the directory of an adapter."""
        for param in self.command.params:
            value = self.params.get(str(param.name)) if isinstance(param, click.Argument) else None
            several = value if isinstance(value, tuple) else (value,)
            yield from (str(each) for each in several if isinstance(each, str | Path) and str(each))


def origin_of(context: click.Context | None, parameter: click.Parameter | None) -> str:
    """Return where a value comes from that nobody typed, or an empty text."""
    if not isinstance(context, SettingsContext) or parameter is None or parameter.name is None:
        return ""
    if context.get_parameter_source(parameter.name) is not click.core.ParameterSource.DEFAULT_MAP:
        return ""
    found = context.setting_of(parameter.name)
    return found.origin if found else ""


def add_settings(command: click.Command) -> None:
    """Let a command take the values of its options from the environment and from a file."""
    command.context_class = SettingsContext
    if any(each.name == "config" for each in command.params):
        return
    option = click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_open_settings,
        metavar="FILE",
        help=f"TOML file of options and models.  [default: {CONFIG_NAME}, if present]",
    )
    command.params.append(option)


def _open_settings(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """Read the settings of a command, before its options; nothing is read to complete what is typed."""
    if context.resilient_parsing:
        return
    named = path or (Path(text) if (text := os.environ.get(CONFIG_VARIABLE)) else None)
    known = {str(each.name): each for each in options_of_command(context.command)}
    command = str(context.command.name)
    _note_json(context, OptionSettings(command, known, None, os.environ))  # for an error of the file itself
    config = None
    if named:
        from ollama_pack.cli.path_types import require_file_there

        require_file_there(named)
    if named or Path(CONFIG_NAME).exists():
        from ollama_pack.cli.config_file import read_config_file

        config = read_config_file(named or Path(CONFIG_NAME))
    settings = OptionSettings(command, known, config, os.environ)
    _note_json(context, settings)
    context.meta[OPTION_SETTINGS] = settings


def _note_json(context: click.Context, settings: OptionSettings) -> None:
    """Store in the context whether settings ask for JSON, for the printing of errors."""
    found = settings.lookup("as_json", None)
    context.meta[JSON_WANTED] = found is not None and str(found.value).lower() in _YES
