"""Finds a Hugging Face model on this machine: in a directory, or in the cache of the Hub. It uses no network.

The cache is where ``huggingface_hub`` has it: in ``HF_HUB_CACHE``, else in ``hub`` in ``HF_HOME``, else in
``~/.cache/huggingface/hub``. In it, ``models--OWNER--NAME/refs/main`` names the snapshot of the main branch.
"""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from ollama_pack.base.hf_config import CONFIG_JSON
from ollama_pack.disk.files import home_directory, read_small, user_path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"models--(.+)--(.+)")
_DOWNLOADS = frozenset({"huggingface", "modelscope", "kagglehub"})
"""The directories below ``~/.cache`` in which programs keep models that they downloaded."""


def find_local(name: str, environment: Mapping[str, str]) -> Path | None:
    """Return the directory on this machine that has a model's config.json, or None if there is none.

    Args:
        name: a Hugging Face id, or the path of a directory.
        environment: the environment variables of the process.
    """
    with contextlib.suppress(OSError, ValueError):  # the name is no valid path, or not accessible
        directory = user_path(name)
        if name and (directory / CONFIG_JSON).is_file():
            return directory
        if is_hub_id(name):
            return _snapshot(cache(environment) / f"models--{name.replace('/', '--')}")
    return None


def cache(environment: Mapping[str, str]) -> Path:
    """Return the directory in which ``huggingface_hub`` keeps its downloads."""
    if hub := environment.get("HF_HUB_CACHE", ""):
        return Path(hub)
    home = environment.get("HF_HOME", "")
    return (Path(home) if home else home_directory() / ".cache" / "huggingface") / "hub"


def repository_of(directory: Path) -> str:
    """Return the name that the repository of a snapshot has without its owner, or an empty text.

    Example: ``models--alice--ada-lora/snapshots/1f…9c`` → ``ada-lora``; any other directory → ``""``.
    """
    match = _REPOSITORY.fullmatch(directory.parent.parent.name)
    return match[2] if match and directory.parent.name == "snapshots" else ""


def is_downloaded(path: Path, environment: Mapping[str, str]) -> bool:
    """Return whether a path is in the cache of a program that downloads models."""
    places = (path.absolute(), path.resolve())
    if any(_REPOSITORY.fullmatch(part) for place in places for part in place.parts):
        return True
    pairs = {pair for place in places for pair in zip(place.parts, place.parts[1:], strict=False)}
    hub = cache(environment).absolute()
    return any((".cache", name) in pairs for name in _DOWNLOADS) or any(
        place.is_relative_to(hub) for place in places
    )


def _snapshot(repository: Path) -> Path | None:
    """Return the snapshot of the main branch, else the latest that has a config.json, else None."""
    with contextlib.suppress(OSError, ValueError):
        revision = read_small(repository / "refs" / "main", 100).decode().strip()
        if _COMMIT.fullmatch(revision) and (repository / "snapshots" / revision / CONFIG_JSON).is_file():
            return repository / "snapshots" / revision
    snapshots = [
        path.parent for path in (repository / "snapshots").glob(f"*/{CONFIG_JSON}") if path.is_file()
    ]
    return max(snapshots, key=lambda path: path.stat().st_mtime, default=None)


_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")


def is_hub_id(text: str) -> bool:
    """Return whether a text has the form of a Hugging Face id, ``owner/name``."""
    return _HUB_ID.fullmatch(text) is not None
