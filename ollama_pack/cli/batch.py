"""Builds several adapters with one command: each by itself, whatever happens to the others.

See "A batch goes on after a failure" in docs/decisions.md.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ollama_pack.cli.error_edge import of_os_error, report, typed_words
from ollama_pack.cli.output import Console, error_facts
from ollama_pack.errors import PackError, UsageError, one_line

if TYPE_CHECKING:
    from ollama_pack.pipeline.request import Request

MOST_SUMMED = 4
"""Number of adapters up to which a sum is offered. Who adds up more of them knows the option."""


EACH_COMMANDS = ("build", "release")
"""The commands with ``--each``."""


def batch_command() -> str:
    """Return the name of the command that runs."""
    return str(click.get_current_context().info_name)


class Task(NamedTuple):
    """One of several models that a command makes.

    Attributes:
        source: the directory that it is made of, as the user or ollama-pack.toml names it.
        asked: returns the request for it and its options. An error that it raises fails this task alone.
        model: the table of ollama-pack.toml that it is made for; empty if its directory is named.
    """

    source: str
    asked: Callable[[], tuple["Request", Mapping[str, Any]]]
    model: str = ""


def build_each(
    tasks: Sequence[Task],
    make: Callable[["Request", Mapping[str, Any]], list[dict[str, Any]]],
    console: Console,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Do each task, and print a summary.

    Returns:
        The JSON objects of what was built, those of the failures, and the largest exit code.

    Args:
        tasks: what to build.
        make: builds a request with its options and returns the JSON objects of what became of it.
        console: prints the progress and the summary.
    """
    from ollama_pack.cli.value_lines import Lines

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    rows = []
    for number, task in enumerate(tasks, 1):
        console.begin(task.source, number, len(tasks))
        console.stage_done(batch_command(), f"{number} of {len(tasks)}: {task.source}")
        try:
            made = make(*task.asked())
            done += made
            rows.append(f"{task.source}: {', '.join(map(_told_name, made))}")
        except (PackError, OSError) as problem:
            error = _of_problem(problem)
            report(error, as_json=False)
            failed.append({"directory": task.source, "model": task.model, "error": error_facts(error)})
            what = one_line(error.what.splitlines()[0]).rstrip(".:")
            rows.append(f"{task.source}: exit code {error.exit_code}, {error.code}: {what}")
        console.finish()
    counts = f"{len(tasks) - len(failed)} of {len(tasks)} succeeded"
    console.stage_done("summary", Lines(counts, tuple(rows)))
    codes = [int(each["error"]["exit_code"]) for each in failed]
    return done, failed, max(codes, default=0)


def _told_name(document: dict[str, Any]) -> str:
    """Return the name of a model, and whether the command left it unchanged."""
    return f"{document['name']}, unchanged" if document.get("unchanged") else str(document["name"])


def _of_problem(problem: PackError | OSError) -> PackError:
    """Return the error of one build; an OSError that names no file is raised, and ends all builds."""
    if isinstance(problem, PackError):
        return problem
    if problem.filename is None:
        raise problem
    return of_os_error(problem)


def several_sources(directories: Sequence[Path], name: str, weights: Sequence[float]) -> UsageError:
    """Return the error for several directories with neither --each nor a --weight for each of them.

    Its hint has the commands that may be meant: a model of each, and one of their sum if they have one base.

    Args:
        directories: the directories that are named.
        name: the name behind them, or an empty text.
        weights: the weights that are given, too few of them.
    """
    if weights:
        what = f"There are {len(directories)} directories, but {len(weights)} --weight: give one for each."
        return UsageError(what, code="several-sources")
    words, command = typed_words(), batch_command()
    more = ["--weight", "1"] * len(directories)
    hints = []
    if command in EACH_COMMANDS:
        hints.append(
            f"ollama-pack {command} {shlex.join(('--each', *_without(words, name)))}  makes a model of each"
        )
    if len(directories) <= MOST_SUMMED and _have_one_base(directories):
        hints.append(
            f"ollama-pack {command} {shlex.join((*more, *words))}  makes one model of their weighted sum"
        )
    return UsageError(
        f"{len(directories)} directories are named, but not whether each becomes a model or they are summed.",
        hint="\n       ".join(hints) or "name one directory",
        code="several-sources",
    )


def _without(words: Sequence[str], name: str) -> list[str]:
    """Return words without the last one that is the name of the model."""
    kept = list(reversed(words))
    if name:
        kept.remove(name)
    return kept[::-1]


def _have_one_base(directories: Sequence[Path]) -> bool:
    """Return whether the configurations of several adapters name one base."""
    from ollama_pack.base.find import same_base
    from ollama_pack.disk.files import read_json_object
    from ollama_pack.lora.peft.run_directory import CONFIG_FILE

    names = []
    for directory in directories:
        try:
            names.append(str(read_json_object(directory / CONFIG_FILE).get("base_model_name_or_path") or ""))
        except PackError:
            return False
    return all(same_base(names[0], name) for name in names[1:])


def offer_each(error: UsageError, directory: Path) -> UsageError:
    """Return the error of a directory with several adapters, with the command that builds all of them."""
    if error.code != "several-adapters":
        return error
    from ollama_pack.lora.peft.directory import adapters_in

    words = typed_words()
    homes = sorted(adapters_in(directory).values())
    visible = sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    # A shell names every directory for the star, so each of them must hold an adapter.
    each = f"{shlex.quote(str(directory))}/*" if homes == visible else shlex.join(map(str, homes))
    typed = " ".join(each if Path(word) == directory else shlex.quote(word) for word in words)
    return UsageError(
        error.what,
        where=error.where,
        hint=f"{error.hint}\n       ollama-pack {batch_command()} --each {typed}  makes a model of each",
        code=error.code,
    )
