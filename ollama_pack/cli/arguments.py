"""Turns the arguments and options of a command into a `Request`, and checks their combinations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ollama_pack.cli.merge_options import MERGING
from ollama_pack.cli.needed_options import require_their_options
from ollama_pack.cli.options import PROOF, SOURCE

if TYPE_CHECKING:
    from ollama_pack.ollama.names import ModelName
    from ollama_pack.pipeline.request import Request


def require_store_is_used(via: str, store: Path | None) -> None:
    """Reject ``--store`` together with a delivery that would ignore it.

    Raises:
        click.UsageError: with this delivery the daemon writes the model into its own store.
    """
    if store is not None and via in ("create", "pull"):
        raise click.UsageError(f"--via {via} uses the store of the daemon; --store needs --via store.")


def was_given(name: str) -> bool:
    """Return whether the user gave an option, typed or by a setting, and not its default."""
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def asks_for_load(chosen: Mapping[str, Any]) -> bool:
    """Return whether the user asks for the load proof, so that llama.cpp makes it where no daemon can."""
    return bool(chosen["load"]) and was_given("load")


def was_typed(name: str) -> bool:
    """Return whether the user typed an option."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def one_name(argument: str, option: str) -> str:
    """Return the model name that is given as an argument or as an option, or an empty string.

    Raises:
        click.UsageError: two different names are given.
    """
    if argument and option and argument != option and was_typed("name_option"):
        raise click.UsageError(f"Two names are given: {argument} and --name {option}.")
    return argument or option


def split_sources(arguments: Sequence[str], weights: Sequence[float]) -> tuple[Sequence[Path], str]:
    """Return the directories and the model name that the positional arguments name.

    There are as many directories as weights, or one without weights. The name is the argument after them, or
    an empty string.

    Raises:
        click.UsageError: there are fewer directories than weights, or too many arguments.
        UsageError: there are more directories than weights.
    """
    count = max(1, len(weights))
    if len(arguments) < count:
        raise click.UsageError(f"{count} weights need {count} directories, but there are {len(arguments)}.")
    directories, rest = [Path(each) for each in arguments[:count]], arguments[count:]
    first = Path(rest[0]) if rest else Path()
    if rest and first.is_dir() and (len(rest) > 1 or len(first.parts) > 1 or is_adapter(first)):
        named = list(map(Path, arguments))
        name = "" if named[-1].is_dir() else str(arguments[-1])
        from ollama_pack.cli.batch import several_sources

        raise several_sources(named[:-1] if name else named, name, weights)
    if len(rest) > 1:
        raise click.UsageError(f"Too many arguments: {', '.join(map(str, rest[1:]))}.")
    return directories, rest[0] if rest else ""


def requests_of_checkpoints(request: "Request", which: str) -> "tuple[Request, ...]":
    """Return a request for each checkpoint that ``--checkpoint`` chooses, or the request if it chooses none.

    Raises:
        PackError: `requests_for` raises it.
    """
    if not which:
        return (request,)
    from ollama_pack.pipeline.checkpoint_requests import requests_for

    return requests_for(request, which)


def is_adapter(directory: Path) -> bool:
    """Return whether a directory contains the configuration of an adapter at its top."""
    from ollama_pack.lora.peft.run_directory import CONFIG_FILE

    return (directory / CONFIG_FILE).is_file()


def request_from(chosen: Mapping[str, Any]) -> "Request":
    """Return the request that the arguments and options of `build` describe.

    Raises:
        click.UsageError: the arguments and options contradict each other.
        UsageError: an option would be ignored.
    """
    from ollama_pack.pipeline.request import Request

    if chosen["checkpoint"] and chosen["weights"]:
        raise click.UsageError("--checkpoint works with one run; to sum checkpoints, name their directories.")
    directories, name = split_sources(chosen["arguments"], chosen["weights"])
    via = chosen.get("via", "folder")
    require_store_is_used(via, chosen["store"])
    require_their_options(merge=chosen["merge"])
    request = Request(
        directory=directories[0],
        others=tuple(directories[1:]),
        weights=chosen["weights"],
        scale=chosen["scale"],
        adapter=chosen["adapter"],
        allow_noop=chosen["allow_noop"],
        load=chosen["load"],
        load_here=asks_for_load(chosen),
        merge=chosen["merge"],
        name=one_name(name, chosen["name_option"]),
        base=chosen["base"],
        via=via,
        template=chosen["template"],
        prompt=chosen["prompt"],
        system=chosen["system"],
        parameters=chosen["parameters"],
        outtype=chosen["outtype"],
        out=chosen["out"],
        store=chosen["store"],
        **{key: chosen[key] for key in (*PROOF, *MERGING)},
    )
    return _with_version(request, chosen["tag"], name) if chosen["tag"] else request


def _with_version(request: "Request", tag: str, argument: str) -> "Request":
    """Return a request whose name has a tag; one that was typed counts more than one of the settings.

    Args:
        request: the request.
        tag: the tag, typed or of the settings.
        argument: the name that was typed as an argument, or an empty text.

    Raises:
        click.UsageError: two different tags are typed.
    """
    from ollama_pack.pipeline.naming import model_name

    name = model_name(request)
    if ":" in request.name.rpartition("/")[2]:
        if not was_typed("tag"):
            return request
        if name.tag != tag and (argument or was_typed("name_option")):
            raise click.UsageError(f"Two versions are given: {request.name} and --tag {tag}.")
    return replace(request, name=str(with_tag(name, tag)))


def with_tag(name: "ModelName", tag: str) -> "ModelName":
    """Return a name with another tag.

    Raises:
        UsageError: Ollama would refuse the tag.
    """
    from ollama_pack.ollama.names import DEFAULT_TAG, typed_name

    return typed_name(f"{replace(name, tag=DEFAULT_TAG)}:{tag}")


def unnamed_request(chosen: Mapping[str, Any], keys: Sequence[str], **more: Any) -> "Request":
    """Return the request of a command that makes a file of adapters, and no model with a name.

    Args:
        chosen: the arguments and options of the command.
        keys: the options that it has besides those of every such command.
        more: fields of the request that no option gives.

    Raises:
        click.UsageError: the last argument is a name, or the weights do not fit the directories.
    """
    from ollama_pack.pipeline.request import Request

    directories, name = split_sources(chosen["directories"], chosen["weights"])
    if name:
        raise click.UsageError(f"Too many arguments: {name}.")
    return Request(
        directory=directories[0],
        others=tuple(directories[1:]),
        **{key: chosen[key] for key in ("weights", *SOURCE, *PROOF, *keys)},
        **more,
    )
