"""RECORD  what a build was made of, in a file beside the Modelfile: digests and names, no dates and no paths.

The same build writes the same bytes. A later one reads it first: it says so when the base has moved, a tag
that means other weights now, and knows a Modelfile.txt that nobody has edited since.
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

LOCK_NAME = "ollama-pack.lock"
LOCK_SCHEMA_VERSION = 1


def read_lock(folder: Path) -> Mapping[str, Any]:
    """Return what the last build in a folder wrote down, nothing where it cannot be read."""
    path = folder / LOCK_NAME
    with contextlib.suppress(OSError, InputError):  # it is written anew; nothing but a message depends on it
        if path.is_file():
            return read_json_object(path)
    return {}


def write_lock(folder: Path, package: Package, receipt: Receipt) -> Path:
    """Write down what a build was made of, unless the file says the same already.

    Args:
        folder: where its Modelfile.txt lies.
        package: what was put somewhere.
        receipt: with the digests of the base, where the way in knows them.

    Raises:
        DestinationError: it cannot be written.
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
    """Return what to say where the base is another one than at the last build, else nothing."""
    then = earlier.get("base")
    if not isinstance(then, Mapping) or then.get("tag") != base.tag:
        return ""
    called = base.tag or "the base"
    for key, now in (("blob", receipt.base_blob), ("manifest", _digest(receipt.base_manifest))):
        before = then.get(key)
        if isinstance(before, str) and before and now:
            if before == now:
                return ""
            was = f"its {key} was {before[:19]}…, and is {now[:19]}… now"
            return f"{called} has moved since the last build: {was}"
    return ""


def _digest(digits: str) -> str:
    return f"sha256:{digits}" if digits else ""
