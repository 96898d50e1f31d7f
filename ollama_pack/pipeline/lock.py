"""The lock file: records what a model was made of, beside its Modelfile, as digests and names.

It holds no dates and no paths, so that the same build writes the same bytes. The next build reads it first,
to report that a tag has other weights now, and to recognise a Modelfile.txt that nobody has edited since.
See "The base's digest is in the lock, not in the GGUF" in docs/decisions.md.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack import modelfile
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Package, Receipt
from ollama_pack.errors import InputError
from ollama_pack.files import read_json_object, sha256_of_file, whole_file
from ollama_pack.message import Message

LOCK_NAME = "ollama-pack.lock"
LOCK_SCHEMA_VERSION = 1


def read_lock(folder: Path) -> Mapping[str, Any]:
    """Return the lock of the last build in a folder, or an empty mapping if it is missing or damaged."""
    path = folder / LOCK_NAME
    with contextlib.suppress(OSError, InputError):  # a damaged lock only costs a message, and is replaced
        if path.is_file():
            return read_json_object(path)
    return {}


def write_lock(folder: Path, package: Package, receipt: Receipt) -> Path:
    """Write the lock file unless it has that content already, and return its path.

    Args:
        folder: the directory with Modelfile.txt and the GGUF LoRA file.
        package: the model that was delivered.
        receipt: the receipt of the delivery, with the digests of the base if they are known.

    Raises:
        DestinationError: the file cannot be written.
    """
    base = package.base
    document = {
        "schema_version": LOCK_SCHEMA_VERSION,
        "kind": "lock",
        "model": str(package.name),
        "manifest": _digest(receipt.digest),
        "adapter": {"gguf": package.adapter.digest, "outtype": package.adapter.outtype},
        "base": {
            "architecture": base.hparams.arch,
            "tag": base.tag,
            "source_id": base.source_id,
            "manifest": _digest(receipt.base_manifest),
            "blob": receipt.base_blob,
        },
        "modelfile": sha256_of_file(folder / modelfile.MODELFILE_NAME),
    }
    path = folder / LOCK_NAME
    content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    if not (path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content):
        with whole_file(path) as file:
            file.write(content)
    return path


def describe_base_change(earlier: Mapping[str, Any], base: BaseModel, receipt: Receipt) -> str:
    """Return a message if the base's tag has other weights than at the last build, else an empty text."""
    recorded = earlier.get("base")
    if not isinstance(recorded, Mapping) or recorded.get("tag") != base.tag:
        return ""
    label = base.tag or "the base"
    for key, now in (("blob", receipt.base_blob), ("manifest", _digest(receipt.base_manifest))):
        before = recorded.get(key)
        if isinstance(before, str) and before and now:
            if before == now:
                return ""
            change = f"its {key} was {before[:19]}… and is {now[:19]}… now"
            text = f"{label} has changed since the last build: {change}"
            return Message(text, "base-moved", what=key, before=before, now=now)
    return ""


def _digest(digits: str) -> str:
    """Return a digest with its algorithm; an empty text stays empty."""
    return f"sha256:{digits}" if digits else ""
