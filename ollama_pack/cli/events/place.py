"""Finds the file of a repository that an error is about, as annotations and findings name it."""

import os
from collections.abc import Mapping
from pathlib import Path

ROOT_VARIABLES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""The variables in which a runner names the directory of the repository."""


def repository_root(environment: Mapping[str, str]) -> Path:
    """Return the directory of the repository that a runner works in, or the working directory."""
    named = next((environment[name] for name in ROOT_VARIABLES if environment.get(name)), "")
    return Path(named or Path.cwd())


def file_at(where: str, root: Path) -> str:
    """Return the file that the place of an error is in, relative to the repository; empty if there is none.

    What lies outside the repository has no name here: a forge could not show it, and its path is private.

    Args:
        where: a path, with the tensor or the key in it behind ``: ``.
        root: the directory of the repository.
    """
    words = where.split(": ") if where else []
    for count in range(len(words), 0, -1):
        path = Path(": ".join(words[:count]))
        try:
            if os.path.lexists(path):
                return path.resolve().relative_to(root.resolve()).as_posix()
        except (OSError, ValueError):  # too long, with a null character, or outside
            continue
    return ""
