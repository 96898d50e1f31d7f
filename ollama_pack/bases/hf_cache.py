"""FIND  a model of Hugging Face on this machine: a directory, or a snapshot in the hub's cache. No network.

The cache is where ``huggingface_hub`` puts it: ``HF_HUB_CACHE``, else ``hub`` in ``HF_HOME``, else
``~/.cache/huggingface/hub``; ``models--OWNER--NAME/refs/main`` names the snapshot.
"""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from ollama_pack.bases.hf_config import FILE
from ollama_pack.files import read_small
from ollama_pack.names import is_hub_id

_REVISION = re.compile(r"[0-9a-f]{40}")


def find_local(name: str, environment: Mapping[str, str]) -> Path | None:
    """Return the directory on this machine that has a model's config.json, None where there is none.

    Args:
        name: a Hugging Face id, or the path of a directory.
        environment: of the process.
    """
    with contextlib.suppress(OSError, ValueError):  # a name no file system takes, or a closed door
        directory = Path(name).expanduser()
        if name and (directory / FILE).is_file():
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
        if _REVISION.fullmatch(revision) and (repository / "snapshots" / revision / FILE).is_file():
            return repository / "snapshots" / revision
    found = [path.parent for path in (repository / "snapshots").glob(f"*/{FILE}") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
