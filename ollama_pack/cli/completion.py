"""Completes what is typed in a shell: directories, models, bases, templates, checkpoints and adapters.

Completing must not disturb: whatever cannot be read is not offered, and nothing is printed.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from ollama_pack.errors import PackError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETE_VARIABLE = "_OLLAMA_PACK_COMPLETE"
"""The variable with which a shell asks for completion; click derives it from the name of the program."""

Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], list["CompletionItem[str]"]]
Finder: TypeAlias = Callable[[click.Context], Iterable[tuple[str, str]]]


def names_of(*finders: Finder, path: str = "") -> Completer:
    """Return a completer that offers what the finders find, and paths.

    Args:
        finders: functions that yield names with the help that zsh and fish show.
        path: ``dir`` or ``file`` if a path may stand there too.
    """

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
        from click.shell_completion import CompletionItem

        offered = [CompletionItem(incomplete, type=path)] if path else []
        for find in finders:
            try:
                found = dict(find(ctx))
            except (PackError, OSError, ValueError):
                continue
            fitting = ((name, about) for name, about in found.items() if name.startswith(incomplete))
            offered += [CompletionItem(name, help=about or None) for name, about in fitting]
        return offered

    return complete


def installed_models(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the installed models: those of the daemon or of a store."""
    from ollama_pack.base.installed import installed_names
    from ollama_pack.ollama.locations import locations_from

    for name in installed_names(locations_from(os.environ, store=ctx.params.get("store"))):
        yield str(name), ""


def known_bases(_ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the Ollama models of the catalog, then the ids of those bases that have none."""
    from ollama_pack.base.catalog import load_catalog

    entries = load_catalog()
    for entry in entries:
        yield from ((tag, entry.source_id) for tag in entry.tags)
    yield from ((entry.source_id, entry.arch) for entry in entries)


def shipped_templates(_ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the names of the templates."""
    from ollama_pack.modelfile.template import template_names

    return ((name, "") for name in template_names())


def checkpoints_of_run(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the words of ``--checkpoint``, and the steps of the run that is named before it."""
    from ollama_pack.lora.peft.run_directory import step_of

    yield from (("latest", "the last one"), ("best", "the best one by its log"), ("all", "all of them"))
    directory = _named_directory(ctx)
    if directory is not None:
        steps = sorted({step for each in directory.iterdir() if (step := step_of(each)) is not None})
        yield from ((str(step), f"checkpoint-{step}") for step in steps)


def adapters_of_directory(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the names of the adapters below the directory that is named before."""
    from ollama_pack.lora.peft.directory import adapters_in

    directory = _named_directory(ctx)
    if directory is not None:
        yield from ((name, home.name) for name, home in adapters_in(directory).items())


def known_architectures(_ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the names of the architectures."""
    from ollama_pack.arch.table import all_archs

    return ((arch.name, arch.hf_classes[0]) for arch in all_archs())


def _named_directory(ctx: click.Context) -> Path | None:
    """Return the first directory on the command line, or None if there is none yet."""
    from ollama_pack.disk.files import user_path

    named = ctx.params.get("arguments") or ctx.params.get("directories") or ctx.params.get("directory") or ()
    # Where the word to complete is the value of an option, click gives up on the arguments before it.
    words = [*(named if isinstance(named, tuple) else (named,)), *ctx.args]
    return next((path for path in map(user_path, map(str, words)) if path.is_dir()), None)
