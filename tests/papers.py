"""What a paper of the project names: paths, commands with their options, and targets of the Makefile."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from ollama_pack.cli.app import COMMAND_GROUPS, main

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ollama_pack"
FOLDERS = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir()) if path.is_dir()}
KEPT = ("ollama_pack", "tests", "docs", "templates", "bench", "examples", ".github")
ENDINGS = (".py", ".tsv", ".toml", ".yml", ".html", ".md")
OF_THE_GROUP = {"--help", "-h", "--version"}
OF_A_COMMAND = {"config", "plan"}
"""Commands whose words are those of another command."""
OF_OTHERS = {"--lora", "--steps"}
"""Options of llama.cpp and of examples/train_ada.py that papers name."""
OF_USERS = {"ollama-pack.toml"}
"""Files of users that end as those of the project."""


def code_of(text: str) -> list[str]:
    """Return the lines of all blocks of code, and all spans of code, of a text in Markdown."""
    fence = re.compile(r"^ *```\w*\n(.*?)^ *```", re.M | re.S)
    blocks = "\n".join(fence.findall(text)).replace("\\\n", " ")
    return [*blocks.splitlines(), *spans_of(text)]


def spans_of(text: str) -> list[str]:
    """Return all spans of code, each on one line."""
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", outside)]


def paths_of(text: str) -> list[str]:
    """Return the spans that name a file or folder of the project."""
    return [span for span in spans_of(text) if _is_path(span)]


def _is_path(span: str) -> bool:
    """Return whether a span names a path of the project, and not a pattern or a path of somebody else."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span) or "NAME" in span or span in {*ENDINGS, *OF_USERS}:
        return False
    return span.endswith(ENDINGS) or ("/" in span and span.partition("/")[0] in FOLDERS)


def exists(name: str) -> bool:
    """Return whether a path is there: from the root, from the package, or anywhere if it is a bare name."""
    if "/" in name.rstrip("/"):
        return (ROOT / name).exists() or (PACKAGE / name).exists()
    return (ROOT / name).exists() or any(path for folder in KEPT for path in (ROOT / folder).rglob(name))


def links_of(text: str) -> list[str]:
    """Return what a text links to inside the project."""
    return re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)


def options_of(command: str) -> set[str]:
    """Return every spelling of every option of a command."""
    found = main.get_command(click.Context(main), command)
    return {spelling for option in found.params for spelling in (*option.opts, *option.secondary_opts)}


def wrong_calls(lines: list[str]) -> Iterator[str]:
    """Yield the calls of ollama-pack with a command or an option that does not exist."""
    for line in lines:
        match = re.match(r"\s*(?:\$ )?(?:\S*/)?ollama-pack (\S.*)", line)
        if not match:
            continue
        command, *words = match[1].split("#")[0].split()
        if command in OF_A_COMMAND and words and words[0] in COMMAND_GROUPS:
            command, *words = words
        if command in OF_THE_GROUP:
            continue
        if command not in COMMAND_GROUPS:
            yield line
            continue
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        if given - options_of(command) - OF_THE_GROUP:
            yield line


def wrong_options(lines: list[str]) -> list[str]:
    """Return the spans that begin with an option which no command has."""
    known = set().union(*(options_of(name) for name in COMMAND_GROUPS)) | OF_THE_GROUP | OF_OTHERS
    named = [line for line in lines if re.match(r"--[a-z]", line)]
    return [line for line in named if re.match(r"--[a-z-]+", line)[0] not in known]


def wrong_targets(lines: list[str]) -> set[str]:
    """Return the targets of calls of make that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    called = [re.match(r"(?:\$ )?make ([a-z]+)$", line.strip()) for line in lines]
    return {match[1] for match in called if match} - targets
