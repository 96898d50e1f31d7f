"""What a command makes of several adapters: those that are named, or those of ollama-pack.toml."""

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.arguments import request_from, was_typed, with_tag
from ollama_pack.cli.batch import Task, batch_command
from ollama_pack.cli.option_names import CONFIG_NAME, options_of_all_commands
from ollama_pack.cli.output import Console
from ollama_pack.cli.own_names import Claim, require_own_names
from ollama_pack.cli.path_types import SOURCE_OR_NAME
from ollama_pack.cli.settings import OPTION_SETTINGS, OptionSettings, SettingsContext
from ollama_pack.errors import UsageError

if TYPE_CHECKING:
    from ollama_pack.cli.config_file import ConfiguredModel
    from ollama_pack.ollama.names import ModelName
    from ollama_pack.pipeline.request import Request

_NOT_SET = getattr(click.core, "UNSET", None)
"""The value that newer versions of click give an option that is set nowhere."""


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
            raise click.UsageError(f"Several models would be made, and {option} is for one.")
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
        console: reports the files that are left out.

    Raises:
        UsageError: no directory is named, or two of them give the same name of a model.
    """
    if not chosen["arguments"]:
        return tasks_of_models()
    named = list(_directories(map(Path, chosen["arguments"]), console))
    if not named:
        raise UsageError("No directory is named.", where=chosen["arguments"][0], code="no-such-directory")
    asked = [_in_its_folder(*requested_for(str(directory))) for directory in named]
    sources = [directory.as_posix() for directory in named]
    require_own_names([_claim_of(source, *each) for source, each in zip(sources, asked, strict=True)])
    return [Task(source, partial(_as_asked, *each)) for source, each in zip(sources, asked, strict=True)]


def _as_asked(request: "Request", chosen: dict[str, Any]) -> "tuple[Request, dict[str, Any]]":
    """Return a request and its options, which are known already."""
    return request, chosen


def _claim_of(source: str, request: "Request", chosen: Mapping[str, Any]) -> Claim:
    """Return what the model of a directory that is typed takes for itself."""
    from ollama_pack.pipeline.naming import model_name

    words = shlex.join(("ollama-pack", batch_command(), source))
    hint = f"{words} --name NAME  for one of them"
    return Claim(source, model_name(request), chosen["checkpoint"] or "", request.out, hint)


def tasks_of_models() -> list[Task]:
    """Return one task for each model of ollama-pack.toml.

    Raises:
        UsageError: two of them have the same name or the same folder.
    """
    context = click.get_current_context()
    assert isinstance(context, SettingsContext), "every command has settings"
    models = models_of_config()
    require_own_names([_claim_of_model(model, context) for model in models])
    seen = Counter(model.directory for model in models)
    return [
        Task(
            model.directory if seen[model.directory] == 1 else f"{model.directory} as {model.table}",
            partial(_placed_for, model),
            model.table,
        )
        for model in models
    ]


def _claim_of_model(model: "ConfiguredModel", context: SettingsContext) -> Claim:
    """Return what a model of ollama-pack.toml takes for itself; its adapter is not read, nor fetched."""
    from ollama_pack.ollama.names import parse_name
    from ollama_pack.pipeline.output_dir import OUTPUT_NAME

    assert context.config is not None, "it names the model"
    typed, out = was_typed("tag"), context.params.get("out")
    name = name_of_model(model, _for_model("tag", model, context), typed=typed)
    checkpoint = _for_model("checkpoint", model, context)
    folder = folder_of(name, Path(out)) if out else None
    other = parse_name(model.name)
    hint = f'name = "{replace(other, model=f"{other.model}-2")}"  in its table, or another name'
    if folder is None and context.params.get("via") == "folder" and not model.is_on_hub:
        folder, hint = (
            Path(model.directory, checkpoint, OUTPUT_NAME),
            "--out DIR  gives each model a folder of its own",
        )
    return Claim(
        model.table, name, checkpoint, folder, hint, context.config.file.where("models", model.table)
    )


def _for_model(name: str, model: "ConfiguredModel", context: SettingsContext) -> str:
    """Return the text that an option has for a model: what was typed, else that of its settings."""
    settings = context.meta.get(OPTION_SETTINGS)
    if was_typed(name) or not isinstance(settings, OptionSettings):
        return str(context.params.get(name) or "")
    found = settings.lookup(name, model)
    return str(found.value) if found else ""


def name_of_model(model: "ConfiguredModel", tag: str, *, typed: bool = False) -> "ModelName":
    """Return the name of a model of ollama-pack.toml; a tag of the settings is for a name without one.

    Raises:
        UsageError: Ollama would refuse the tag.
    """
    from ollama_pack.ollama.names import typed_name

    name = typed_name(model.name)
    has_tag = ":" in model.name.rpartition("/")[2]
    return with_tag(name, tag) if tag and (typed or not has_tag) else name


def _directories(paths: Iterable[Path], console: Console) -> Iterator[Path]:
    """Yield the paths that are not files, and report the files as skipped."""
    for path in paths:
        if path.is_file():
            console.stage_done("skipped", f"{path} is a file")
        else:
            yield path


def _in_its_folder(request: "Request", chosen: dict[str, Any]) -> "tuple[Request, dict[str, Any]]":
    """Return a request whose files are in a directory of its name and version; and its options."""
    from ollama_pack.pipeline.naming import model_name

    return replace(request, out=request.out and folder_of(model_name(request), request.out)), chosen


def folder_of(name: "ModelName", out: Path) -> Path:
    """Return the folder for the files of a model below the directory of all of them."""
    from ollama_pack.ollama.names import DEFAULT_TAG

    return out.joinpath(name.model, *(() if name.tag == DEFAULT_TAG else (name.tag,)))


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
        Task(
            f"{model.name} to {target}",
            partial(_release_of, model, target, settings_of_release(context)),
            model.table,
        )
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
    name = name_of_model(model, str(tag.value) if tag else "")
    folder = folder_of(name, Path(str(found.value)))
    return Request(directory=folder, name=str(name), out=folder), {"target": target}
