"""What a command makes of several adapters: those that are named, or those of ollama-pack.toml."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.arguments import request_from, was_typed
from ollama_pack.cli.batch import Task, batch_command
from ollama_pack.cli.option_names import CONFIG_NAME, options_of_all_commands
from ollama_pack.cli.output import Console
from ollama_pack.cli.path_types import SOURCE_OR_NAME
from ollama_pack.cli.settings import OptionSettings, SettingsContext
from ollama_pack.errors import UsageError

if TYPE_CHECKING:
    from ollama_pack.cli.config_file import ConfiguredModel
    from ollama_pack.pipeline.request import Request

_NOT_SET = getattr(click.core, "UNSET", None)
"""What newer versions of click call a value that nothing gives."""


def makes_several(chosen: Mapping[str, Any]) -> bool:
    """Return whether a command makes a model of each DIR, or of each that ollama-pack.toml names.

    Raises:
        click.UsageError: neither a DIR nor a file names an adapter, or an option is for one model.
    """
    if not chosen["arguments"] and not models_of_config():
        what = f"Missing argument 'DIR', and there is no {CONFIG_NAME} here that names models."
        raise click.UsageError(what, click.get_current_context())
    if chosen["arguments"] and not chosen["each"]:
        return False
    for key, option in (("weights", "--weight"), ("name_option", "--name")):
        if chosen[key] and was_typed(key):
            raise click.UsageError(f"--each makes several models, and {option} is for one.")
    return True


def models_of_config() -> "tuple[ConfiguredModel, ...]":
    """Return the models of ollama-pack.toml, or none without such a file."""
    context = click.get_current_context()
    config = context.config if isinstance(context, SettingsContext) else None
    return config.models if config else ()


def tasks_of_each(chosen: Mapping[str, Any], console: Console) -> list[Task]:
    """Return one task for each adapter; files are left out, since a shell names them for ``DIR/*``.

    Args:
        chosen: the arguments and options of the command.
        console: where the files are told that are left out.

    Raises:
        UsageError: no directory is named, or two of them give the same name of a model.
    """
    if not chosen["arguments"]:
        return [Task(model.directory, partial(_placed_for, model)) for model in models_of_config()]
    named = list(_directories(map(Path, chosen["arguments"]), console))
    if not named:
        raise UsageError("No directory is named.", where=chosen["arguments"][0], code="no-such-directory")
    asked = [(directory.as_posix(), *requested_for(str(directory))) for directory in named]
    _require_names([(source, request) for source, request, _ in asked])
    return [Task(source, partial(_in_its_folder, request, options)) for source, request, options in asked]


def _directories(paths: Iterable[Path], console: Console) -> Iterator[Path]:
    """Yield the paths that are no files, and tell of the others."""
    for path in paths:
        if path.is_file():
            console.stage_done("skipped", f"{path} is a file")
        else:
            yield path


def _require_names(requests: "list[tuple[str, Request]]") -> None:
    """Require that each of several requests, which come with their directories, has a name of its own.

    Raises:
        UsageError: two of them give the same name of a model.
    """
    from ollama_pack.pipeline.naming import model_name

    seen: dict[str, str] = {}
    for source, request in requests:
        name = model_name(request)
        if other := seen.get(str(name).lower()):
            words = shlex.join(("ollama-pack", batch_command(), source))
            raise UsageError(
                f"{other} and {source} would both become the model {name}.",
                hint=f"{words} --name NAME  for one of them",
                code="same-name",
            )
        seen[str(name).lower()] = source


def _in_its_folder(request: "Request", chosen: dict[str, Any]) -> "tuple[Request, dict[str, Any]]":
    """Return a request whose files are in a directory of its name and version; and its options."""
    from ollama_pack.ollama.names import DEFAULT_TAG
    from ollama_pack.pipeline.naming import model_name

    name = model_name(request)
    versions = () if name.tag == DEFAULT_TAG else (name.tag,)
    return replace(request, out=request.out and request.out.joinpath(name.model, *versions)), chosen


def _placed_for(model: "ConfiguredModel") -> "tuple[Request, dict[str, Any]]":
    """Return the request for a model of ollama-pack.toml, whose files are in a directory of its name."""
    return _in_its_folder(*requested_for(model.directory, model))


def requested_for(place: str, model: "ConfiguredModel | None" = None) -> "tuple[Request, dict[str, Any]]":
    """Return the request and the options of the command that runs, as if it named one directory alone.

    What was typed stays; what was not comes from the settings of this directory.

    Args:
        place: the directory, or the address of an adapter on the Hub, which is fetched.
        model: the model of ollama-pack.toml that is made; None for the one that has this directory, if any.
    """
    context = click.get_current_context()
    again = SettingsContext(context.command, info_name=context.info_name, parent=context.parent)
    again.about = model
    with again.scope(cleanup=False):
        for param in (each for each in context.command.params if each.expose_value):
            name = str(param.name)
            source = context.get_parameter_source(name)
            if name == "arguments":  # the first parameter, by which the model is found
                again.params[name] = (SOURCE_OR_NAME.convert(place, param, again),)
            elif source is click.core.ParameterSource.COMMANDLINE:
                again.params[name] = context.params[name]
                again.set_parameter_source(name, source)
            elif name == "name_option":  # a variable gives one name, and these are several models
                again.params[name] = again.model.name if again.model else ""
            else:
                param.handle_parse_result(again, {}, [])
        chosen = {name: None if value is _NOT_SET else value for name, value in again.params.items()}
        return request_from(chosen), chosen


def tasks_of_targets() -> list[Task]:
    """Return one task for each target of the models of ollama-pack.toml: their releases, in their folders.

    Raises:
        click.UsageError: no file names a target, or the directory of the releases.
    """
    context = click.get_current_context()
    targets = [(model, target) for model in models_of_config() for target in model.targets]
    if not targets:
        what = f"Missing argument 'DIR', and there is no {CONFIG_NAME} here that names targets."
        raise click.UsageError(what, context)
    return [
        Task(f"{model.name} to {target}", partial(_release_of, model, target, settings_of_release(context)))
        for model, target in targets
    ]


def settings_of_release(context: click.Context) -> OptionSettings:
    """Return what settings say of the command ``release``, whatever command runs."""
    options = options_of_all_commands()[1]["release"].values()
    config = context.config if isinstance(context, SettingsContext) else None
    return OptionSettings("release", {str(each.name): each for each in options}, config, os.environ)


def _release_of(
    model: "ConfiguredModel", target: str, settings: OptionSettings
) -> "tuple[Request, dict[str, Any]]":
    """Return a request whose directory is that of the release of a model, and its target.

    Raises:
        UsageError: nothing says where releases are.
    """
    from ollama_pack.pipeline.request import Request

    found, tag = settings.lookup("out", model), settings.lookup("tag", model)
    if found is None:
        raise UsageError(
            "Nothing says in which directory the releases are.",
            where=CONFIG_NAME,
            hint='[commands.release] with out = "dist", or ollama-pack push DIR PLACE',
            code="bad-option",
        )
    name = model.name if ":" in model.name.rpartition("/")[2] or tag is None else f"{model.name}:{tag.value}"
    asked, _ = _in_its_folder(Request(directory=Path(), name=name, out=Path(str(found.value))), {})
    assert asked.out is not None, "it was given"
    return replace(asked, directory=asked.out), {"target": target}
