"""FIND  a model of Hugging Face on this machine: a directory, or a snapshot in the hub's cache. No network.

The cache is where ``huggingface_hub`` puts it: ``HF_HUB_CACHE``, else ``hub`` in ``HF_HOME``, else
``~/.cache/huggingface/hub``; ``models--OWNER--NAME/refs/main`` names the snapshot.
"""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from ollama_pack.base.hf_config import CONFIG_JSON
from ollama_pack.files import read_small

_REVISION = re.compile(r"[0-9a-f]{40}")


def find_local(name: str, environment: Mapping[str, str]) -> Path | None:
    """Return the directory on this machine that has a model's config.json, None where there is none.

    Args:
        name: a Hugging Face id, or the path of a directory.
        environment: of the process.
    """
    with contextlib.suppress(OSError, ValueError):  # a name no file system takes, or a closed door
        directory = Path(name).expanduser()
        if name and (directory / CONFIG_JSON).is_file():
            return directory
        if is_hub_id(name):
            return _snapshot(cache(environment) / f"models--{name.replace('/', '--')}")
    return None


def cache(environment: Mapping[str, str]) -> Path:
    """Return where ``huggingface_hub`` keeps what it has downloaded."""
    if hub := environment.get("HF_HUB_CACHE", ""):
        return Path(hub)
    home = environment.get("HF_HOME", "")
    return (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def _snapshot(repository: Path) -> Path | None:
    """Return the snapshot of the main branch, else the latest that has a config.json."""
    with contextlib.suppress(OSError, ValueError):
        revision = read_small(repository / "refs" / "main", 100).decode().strip()
        if _REVISION.fullmatch(revision) and (repository / "snapshots" / revision / CONFIG_JSON).is_file():
            return repository / "snapshots" / revision
    found = [path.parent for path in (repository / "snapshots").glob(f"*/{CONFIG_JSON}") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")


def is_hub_id(text: str) -> bool:
    """Return whether a text is a Hugging Face id, ``owner/name``; a path is none, and leads nowhere."""
    return _HUB_ID.fullmatch(text) is not None
