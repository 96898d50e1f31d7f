"""The file ollama-pack.toml: values of options, for all commands, for one, and for each of many models.

docs/config.md has its tables. It is checked when it is read, before anything is made: a key without a meaning
is reported with its line and the nearest key that exists.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ollama_pack.cli.option_names import has_own_meaning, key_of, options_of_all_commands
from ollama_pack.disk.files import user_path
from ollama_pack.disk.toml_file import TomlFile, read_toml
from ollama_pack.errors import InputError, UsageError
from ollama_pack.ollama.names import parse_name
from ollama_pack.shown import words_of

OPTIONS, COMMANDS, MODELS = "options", "commands", "models"
DIRECTORY, TARGETS, NAME_KEY = "directory", "targets", "name"
_HUB = "hf://"
_FROM_TYPED = frozenset({"yes"})
"""Options that only a person may give, on the command line: ``--yes`` skips a question."""


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """A model that ollama-pack.toml names.

    Attributes:
        table: the name of its table.
        name: the name of the model, which may have a tag; by default the name of the table.
        directory: the directory of its adapter, or its address on the Hub.
        targets: the places that its release is pushed to.
    """

    table: str
    name: str
    directory: str
    targets: tuple[str, ...]

    @property
    def is_on_hub(self) -> bool:
        """Return whether its adapter is fetched from the Hub."""
        return self.directory.startswith(_HUB)

    def is_in(self, place: str) -> bool:
        """Return whether its adapter is in a directory, or at an address."""
        if self.is_on_hub or place.startswith(_HUB):
            return self.directory == place
        return Path(self.directory).resolve() == Path(place).resolve()


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The values of options in a file, and the models that it names.

    Attributes:
        file: the file.
        models: the models, in their order.
    """

    file: TomlFile
    models: tuple[ConfiguredModel, ...]

    def tables(self, command: str, model: ConfiguredModel | None) -> Iterator[tuple[str, ...]]:
        """Yield the tables that may have a value for a command, the one that counts most first."""
        if model is not None:
            yield (MODELS, model.table)
        yield (COMMANDS, command)
        yield (OPTIONS,)

    def value(self, option: click.Option, *table: str) -> Any:
        """Return the value of an option in a table as it would be typed, or None if it is not there.

        Raises:
            UsageError: it is of another kind than the option takes.
        """
        key = key_of(option)
        found = self.file.table(*table).get(key)
        if found is None:
            return None
        try:
            return _as_typed(found, option, self.file.path.parent)
        except ValueError as error:
            raise self.file.error(f"This must be {words_of(str(error))}", *table, key) from error

    def model_in(self, place: str) -> ConfiguredModel | None:
        """Return the model whose adapter is in a directory, or None if there is none.

        Raises:
            UsageError: several models are made of that adapter.
        """
        found = [model for model in self.models if model.is_in(place)]
        if len(found) > 1:
            names = " and ".join(model.table for model in found)
            raise self.file.error(
                f"{names} are made of {place}; only a command without DIR makes several models of it", MODELS
            )
        return found[0] if found else None


def read_config_file(path: Path) -> ConfigFile:
    """Return the file of a project, with every value checked.

    Raises:
        InputError: it cannot be read, or is not TOML.
        UsageError: a key has no meaning, or a value is of another kind.
    """
    file = read_toml(path)
    file.require_keys((OPTIONS, COMMANDS, MODELS))
    general, by_command = options_of_all_commands()
    file.require_keys(by_command, COMMANDS)
    _require_one_meaning(file, by_command)
    known: dict[tuple[str, ...], Mapping[str, click.Option]] = {(OPTIONS,): general}
    known |= {(COMMANDS, command): by_command[command] for command in file.table(COMMANDS)}
    known |= {(MODELS, name): general for name in file.table(MODELS)}
    config = ConfigFile(file, tuple(_model(file, name) for name in file.table(MODELS)))
    for table, options in known.items():
        own = (DIRECTORY, TARGETS) if table[0] == MODELS else ()
        file.require_keys({*options, *own} - _FROM_TYPED, *table)
        for key in file.table(*table):
            if key not in own:
                _require_value(config, options[key], *table)
    return config


def _require_one_meaning(file: TomlFile, by_command: Mapping[str, Mapping[str, click.Option]]) -> None:
    """Require that [options] and the models have options that mean one thing in all commands.

    Raises:
        UsageError: an option means something else in each command.
    """
    for table in ((OPTIONS,), *((MODELS, name) for name in file.table(MODELS))):
        for key in file.table(*table):
            commands = [name for name, options in by_command.items() if key in options]
            if commands and all(has_own_meaning(name, key) for name in commands):
                raise UsageError(
                    f"--{key} means something else in each command.",
                    where=file.where(*table, key),
                    hint=f"write it into [{COMMANDS}.{commands[0]}]",
                    code="unknown-key",
                )


def _require_value(config: ConfigFile, option: click.Option, *table: str) -> None:
    """Require that an option takes the value that a table gives it.

    Raises:
        UsageError: it does not.
    """
    value = config.value(option, *table)
    try:
        option.type_cast_value(click.Context(click.Command("")), value)
    except click.BadParameter as error:
        raise config.file.error(words_of(error.message).rstrip("."), *table, key_of(option)) from error


def _model(file: TomlFile, table: str) -> ConfiguredModel:
    """Return a model that a file names; its name and its directory are by default those of its table."""
    keys = file.table(MODELS, table)
    name, directory = keys.get(NAME_KEY, table), keys.get(DIRECTORY, table)
    if not isinstance(directory, str) or not directory:
        raise file.error("This must be the path of a directory", MODELS, table, DIRECTORY)
    if not isinstance(name, str):
        raise file.error("This must be the name of a model", MODELS, table, NAME_KEY)
    try:
        parse_name(name)
    except InputError as error:
        where = file.where(MODELS, table, *((NAME_KEY,) if NAME_KEY in keys else ()))
        raise UsageError(error.what, where=where, hint=error.hint, code=error.code) from error
    if not directory.startswith(_HUB):
        directory = str(file.path.parent / user_path(directory))
    return ConfiguredModel(table, name, directory, file.texts(MODELS, table, TARGETS))


def _as_typed(value: object, option: click.Option, folder: Path) -> str | list[str] | bool:
    """Return a value of TOML as it would be typed on the command line.

    Raises:
        ValueError: it is of another kind than the option takes; the text of the error is that kind.
    """
    if option.is_flag:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    if isinstance(value, dict) and key_of(option) == "parameter":
        pairs = [(key, each) for key, several in value.items() for each in _as_several(several)]
        return [f"{key}={_scalar(each)}" for key, each in pairs]
    if option.multiple:
        return [_from_folder(_scalar(each), option, folder) for each in _as_several(value)]
    return _from_folder(_scalar(value), option, folder)


def _as_several(value: object) -> list[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def _scalar(value: object) -> str:
    """Return a text or a number as a text.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a text or a number")
    return str(value)


def _from_folder(text: str, option: click.Option, folder: Path) -> str:
    """Return a path, relative to the file's folder; a value that may be a name is a path if that exists."""
    path = folder / user_path(text)
    is_path = isinstance(option.type, click.Path)
    if text and (is_path or (key_of(option) in ("base", "template") and "\0" not in text and path.exists())):
        return str(path)
    return text
