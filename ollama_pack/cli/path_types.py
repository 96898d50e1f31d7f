"""The paths that commands take: a directory, a file that must be there, or the name of a model instead."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ollama_pack.cli.settings import FETCHED_FROM
from ollama_pack.errors import UsageError
from ollama_pack.ollama.names import require_no_path


def require_file_there(path: Path) -> None:
    """Require that something is at a path which the user named as a file.

    Raises:
        UsageError: nothing is there.
    """
    if not os.path.lexists(path):
        raise UsageError("There is no such file.", where=path, code="no-such-directory")


def require_named_files(command: click.Command, params: Mapping[str, Any]) -> None:
    """Require that every file that an option names exists; the file of cases that ``--init`` writes need not.

    Raises:
        UsageError: one is not there.
    """
    for each in command.params:
        value = params.get(str(each.name))
        is_made = each.name == "cases" and params.get("init")
        if isinstance(each.type, NamedFile) and value is not None and not is_made:
            require_file_there(value)


class AnyPath(click.Path):
    """A path that need not exist. The code that reads it reports an error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; reject an empty one, which is an unset variable in a script."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class NamedFile(AnyPath):
    """The path of a file that is read; `require_named_files` looks for it when the command runs."""


class SourcePath(AnyPath):
    """The path of an adapter's directory; ``hf://OWNER/NAME`` is fetched from the Hub first."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; fetch an adapter of the Hub first, but not to complete what is typed."""
        if isinstance(value, str) and value.startswith("hf://") and not (ctx and ctx.resilient_parsing):
            from ollama_pack.hub.fetch import fetch_adapter

            reference, value = value, str(fetch_adapter(value, os.environ))
            if ctx is not None:
                ctx.meta.setdefault(FETCHED_FROM, {})[value] = reference
        return super().convert(value, param, ctx)


PATH = AnyPath(path_type=Path, readable=False)
FILE = NamedFile(path_type=Path, readable=False)


class SourceOrModel(SourcePath):
    """A directory, or the name of a model; a path that does not exist is no name of a model.

    Args:
        what: what may be there, for the message.
        path_type: `str` or `Path`.
    """

    def __init__(self, what: str, path_type: type) -> None:
        super().__init__(path_type=path_type, readable=False)
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path or the name."""
        if (
            isinstance(value, str)
            and not value.startswith(("hf://", "oci://"))
            and not (ctx and ctx.resilient_parsing)
        ):
            require_no_path(value, self.what)
        return super().convert(value, param, ctx)


# The type is str, because a Path would replace the two slashes in https:// by one.
DIRECTORY_OR_MODEL = SourceOrModel("directory", str)
SOURCE_OR_MODEL = SourceOrModel("directory or file", Path)
SOURCE_PATH = SourcePath(path_type=Path, readable=False)
SOURCE_OR_NAME = SourcePath(path_type=str, readable=False)
