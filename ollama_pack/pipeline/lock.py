"""The lock file: records what a model was made of, beside its Modelfile, as digests and names.

It holds no dates and no paths, so that the same build writes the same bytes. The next build reads it first,
to report that a tag has other weights now, and to recognise a Modelfile.txt that nobody has edited since;
`register` and `verify` compare the files with it.
See "The base's digest is in the lock, not in the GGUF" in docs/decisions.md.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ollama_pack import __version__
from ollama_pack.arch.hparams import HParams, StateSpace
from ollama_pack.base.find import is_path
from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import read_json_object, sha256_of_file, user_path, whole_file
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, as_whole, optional
from ollama_pack.lora.adapter import Adapter, tensors_of
from ollama_pack.lora.plan import LoraFile
from ollama_pack.message import Message
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.source_digests import SourceDigests

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package, Receipt
    from ollama_pack.modelfile.syntax import Modelfile

LOCK_NAME = "ollama-pack.lock"
LOCK_SCHEMA_VERSION = 2
BASE_PATH = "./base.gguf"
"""What stands for the path of a GGUF base when a Modelfile is compared with the record."""

Sources: TypeAlias = Sequence[Mapping[str, str]]
"""For each adapter of a build: file name → digest."""
_RECORDED_SIZES = ("blocks", "heads", "kv_heads", "head_dim", "hidden")


def read_lock(folder: Path) -> Mapping[str, Any]:
    """Return the lock of the last build in a folder, or an empty mapping if it is missing or damaged."""
    path = folder / LOCK_NAME
    with contextlib.suppress(OSError, InputError):  # a damaged lock only costs a message, and is replaced
        if path.is_file():
            return read_json_object(path)
    return {}


def write_lock(
    folder: Path,
    package: "Package",
    text: "Modelfile",
    sources: Sources,
    receipt: "Receipt | None" = None,
) -> Path:
    """Write the lock file unless it has that content already, and return its path.

    Args:
        folder: the directory with Modelfile.txt and the GGUF LoRA file.
        package: the model.
        text: its Modelfile.
        sources: the digests of what the GGUF LoRA file was made of, as `digest_sources` returns them.
        receipt: the receipt of the delivery, or None before it; then the digests of an earlier delivery stay
            if it had the same files.

    Raises:
        DestinationError: the file cannot be written.
    """
    base = package.merged_from or package.base
    merged = package.base.blob_digest() if package.adapter is None else ""
    document: dict[str, Any] = {
        "schema_version": LOCK_SCHEMA_VERSION,
        "kind": "lock",
        "ollama_pack": __version__,
        "model": str(package.name),
        "manifest": _digest(receipt.digest) if receipt else "",
        "adapter": {
            **_lora_record(package.adapter),
            "sources": [dict(files) for files in sources],
        },
        **({"merged": {"gguf": merged}} if merged else {}),
        "base": {
            "architecture": base.hparams.arch,
            "tag": base.tag,
            "source_id": base.source_id,
            "sizes": _recorded_sizes(base),
            "manifest": _digest(receipt.base_manifest) if receipt else "",
            "blob": _blob_of(package.merged_from) or (receipt.base_blob if receipt else ""),
        },
        "modelfile": modelfile_digest(text, folder),
    }
    path, earlier = folder / LOCK_NAME, read_lock(folder)
    if receipt is None and _without_delivery(earlier) == _without_delivery(document):
        return path
    if earlier != document:
        with whole_file(path) as file:
            file.write((json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    return path


def _lora_record(lora: LoraFile | None) -> dict[str, str]:
    """Return the digest and the type of a GGUF LoRA file; nothing for a merged model."""
    return {"gguf": lora.digest, "outtype": lora.outtype} if lora else {}


def _blob_of(merged_from: BaseModel | None) -> str:
    """Return the digest of the file that an adapter was merged into; empty if there is none."""
    return merged_from.blob_digest() if merged_from else ""


def _without_delivery(lock: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lock without the digests that only a delivery knows."""
    base = lock.get("base")
    recorded = base if isinstance(base, Mapping) else {}
    return {**lock, "manifest": "", "base": {**recorded, "manifest": "", "blob": ""}}


def digest_sources(inputs: BuildInputs, adapter: Adapter, digests: SourceDigests) -> Sources:
    """Return the digests of the configuration and the weights of each adapter of a build, by file name.

    Args:
        inputs: the resolved request.
        adapter: the adapter, or the sum of several.
        digests: computes the digest of each file once.

    Raises:
        DestinationError: a file cannot be read.
    """
    weights = {tensor.path for tensor in tensors_of(adapter.pairs)}
    return [
        {
            path.name: digests.of(path)
            for path in (each.config_file, *sorted(path for path in weights if path.parent == each.home))
        }
        for each in inputs.directories
    ]


def modelfile_digest(text: "Modelfile", folder: Path) -> str:
    """Return the digest of a Modelfile in a folder, which does not depend on where the folder is.

    The path of a GGUF base leads out of the folder, so it does not count; the digest of the base is recorded.
    """
    from ollama_pack.modelfile.syntax import print_modelfile

    content = print_modelfile(with_base_path(text, folder))
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def with_base_path(text: "Modelfile", folder: Path) -> "Modelfile":
    """Return a Modelfile in which `BASE_PATH` stands for the path in FROM, if FROM has one."""
    source = text.value("FROM")
    if not is_path(source, folder / user_path(source)):
        return text
    entries = tuple(
        entry._replace(body=BASE_PATH) if entry.command and entry.command.name == "FROM" else entry
        for entry in text.entries
    )
    return text._replace(entries=entries)


def digest_if_recorded(folder: Path, lock: Mapping[str, Any]) -> str:
    """Return the digest of the file Modelfile.txt if a lock records its content, else an empty text."""
    with contextlib.suppress(InputError, DestinationError):
        text = read_modelfile(folder)
        if text is not None and modelfile_digest(text, folder) == lock.get("modelfile"):
            return sha256_of_file(folder / MODELFILE_NAME)
    return ""


def describe_base_change(earlier: Mapping[str, Any], tag: str, *, blob: str = "", manifest: str = "") -> str:
    """Return a message if the base has other weights than at the last build, else an empty text.

    Args:
        earlier: the lock of the last build.
        tag: the Ollama model that is the base, or empty if it is a file.
        blob: the digest of its weights, ``sha256:…``; empty if it is unknown.
        manifest: the digest of its manifest, 64 hexadecimal digits; empty if it is unknown.
    """
    recorded = earlier.get("base")
    if not isinstance(recorded, Mapping) or recorded.get("tag") != tag:
        return ""
    label = tag or "the base"
    for key, now in (("blob", blob), ("manifest", _digest(manifest))):
        before = recorded.get(key)
        if isinstance(before, str) and before and now:
            if before == now:
                return ""
            change = f"its {key} was {before[:19]}… and is {now[:19]}… now"
            text = f"{label} has changed since the last build: {change}"
            return Message(text, "base-moved", what=key, before=before, now=now)
    return ""


def placed_sizes(lock: Mapping[str, Any]) -> HParams | None:
    """Return the sizes that placed the rows of the GGUF LoRA file, or None if the lock does not have them."""
    with contextlib.suppress(ValueError):  # a damaged lock only costs a comparison
        recorded = as_mapping(lock.get("base"), "base")
        sizes = as_mapping(recorded.get("sizes"), "sizes")
        states = optional(sizes, "ssm", {})
        layers = (as_list(each, "heads_per_layer") for each in optional(sizes, "heads_per_layer", []))
        return HParams(
            arch=as_text(recorded.get("architecture"), "architecture"),
            **{name: optional(sizes, name, 0) for name in _RECORDED_SIZES},
            ssm=StateSpace(**{each.name: optional(states, each.name, 0) for each in fields(StateSpace)}),
            heads_per_layer=tuple(
                (as_whole(one, "heads_per_layer"), as_whole(other, "heads_per_layer"))
                for one, other in layers
            ),
        )
    return None


def _recorded_sizes(base: BaseModel) -> dict[str, Any]:
    """Return the sizes that place rows, without those that the base does not have."""
    every = asdict(base.hparams)
    sizes = {name: every[name] for name in _RECORDED_SIZES if every[name]}
    if every["heads_per_layer"]:
        sizes["heads_per_layer"] = [list(layer) for layer in every["heads_per_layer"]]
    states = {name: number for name, number in every["ssm"].items() if number}
    return {**sizes, "ssm": states} if states else sizes


def _digest(digits: str) -> str:
    """Return a digest with its algorithm; an empty text stays empty."""
    return f"sha256:{digits}" if digits else ""
