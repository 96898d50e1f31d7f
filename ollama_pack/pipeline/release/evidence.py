"""Finds what a model is verified against: the lock of a build's folder, or the manifest of a model."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.installed import Installed, look_up
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.folder import CONFIG, MANIFEST
from ollama_pack.deliver.package import Package
from ollama_pack.disk.files import read_json_object, read_small
from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.formats.untrusted_json import file_errors
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import store_of
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, Layer, parse_manifest
from ollama_pack.ollama.models import ModelRepository, StoreModels
from ollama_pack.ollama.names import ModelName
from ollama_pack.ollama.store_layout import blob_path, gguf_manifest, read_manifest
from ollama_pack.pipeline.lock import LOCK_NAME, modelfile_digest
from ollama_pack.pipeline.output_dir import adapter_home
from ollama_pack.pipeline.prepare import GGUF_NAME, MERGED_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a record says of files, and which record it is.

    Attributes:
        label: the record itself, for messages.
        files: path → the digest that the record has for it.
        modelfile: the digest that the record has for the Modelfile; empty if it has none.
        base: what it says of the base: ``tag``, ``manifest`` and ``blob``.
        folder: the folder of the files, or None if they are blobs.
    """

    label: str
    files: Mapping[Path, str] = field(default_factory=dict)
    modelfile: str = ""
    base: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None


def record_of_folder(folder: Path) -> Record | None:
    """Return what the lock of a build's folder says, or None if there is no lock.

    The adapter's own files are included if the folder is in the adapter's directory, as it is by default.

    Raises:
        InputError: the lock is damaged.
    """
    path = folder / LOCK_NAME
    if not path.is_file():
        return None
    lock = read_json_object(path)
    with file_errors(path):
        return _record_of(lock, path)


def _record_of(lock: Mapping[str, Any], path: Path) -> Record:
    """Return what a lock says."""
    folder = path.parent
    adapter, base, text = lock.get("adapter"), lock.get("base"), lock.get("modelfile")
    made = lock.get("merged", adapter)
    gguf, is_merged = made.get("gguf") if isinstance(made, dict) else None, "merged" in lock
    if not isinstance(gguf, str) or not isinstance(base, dict) or not isinstance(text, str):
        raise InputError(
            "The lock does not have the digests of the model, its base and its Modelfile.", where=path
        )
    files = {folder / (MERGED_NAME if is_merged else GGUF_NAME): gguf}
    sources = adapter.get("sources") if isinstance(adapter, dict) else None
    if isinstance(sources, list) and len(sources) == 1 and isinstance(sources[0], dict):
        home = adapter_home(folder)
        files |= {
            home / name: digest
            for name, digest in sources[0].items()
            if Path(name).name == name and (home / name).is_file() and home != folder
        }
    manifest = lock.get("manifest")
    if isinstance(manifest, str) and manifest and (folder / MANIFEST).is_file():
        files |= {folder / MANIFEST: manifest, **_config_file(folder)}
    return Record(label=str(path), files=files, modelfile=text, base=base, folder=folder)


def _config_file(folder: Path) -> dict[Path, str]:
    """Return the configuration in a folder with the digest that the manifest beside it has."""
    with contextlib.suppress(DestinationError, OSError):
        config, _ = parse_manifest(read_small(folder / MANIFEST), where=folder / MANIFEST)
        return {folder / CONFIG: config.digest}
    return {}


def modelfile_fault(record: Record) -> str:
    """Return what is wrong with the Modelfile.txt of a folder, or an empty text if it is as recorded."""
    if record.folder is None or not record.modelfile:
        return ""
    try:
        text = read_modelfile(record.folder)
    except InputError as error:
        return error.clause
    if text is None:
        return "it is missing"
    return (
        "" if modelfile_digest(text, record.folder) == record.modelfile else "it was edited after the build"
    )


def installed_package(name: ModelName, locations: OllamaLocations) -> tuple[Package, Record, Installed]:
    """Return an installed model as a package, the digests of its manifest, and what is seen of its weights.

    Raises:
        UsageError: there is no such model, or it has no adapter.
        DestinationError: there is neither a daemon nor a store, or the blobs cannot be read from here.
    """
    seen = look_up(locations, name)
    if not seen.has_adapter and not seen.is_merged:
        raise UsageError(
            f"{name} has no adapter, so there is nothing to verify.",
            where=seen.place,
            hint="ollama-pack inspect NAME  shows what a model is",
            code="no-adapter-in-model",
        )
    with models_at(locations, name) as models:
        store = readable_store(models, locations)
    layers = _layers(store, name)
    wanted = ADAPTER_TYPE if seen.has_adapter else MODEL_TYPE
    made = [blob_path(store, layer.digest) for layer in layers if layer.media_type == wanted]
    files = {blob_path(store, layer.digest): layer.digest for layer in layers}
    arch = str(seen.seen.metadata.get("general.architecture", ""))
    base = BaseModel(
        hparams=HParams(arch=arch, blocks=0, heads=0, kv_heads=0, head_dim=0, hidden=0), origin=str(name)
    )
    record, path = Record(label=str(store), files=files), made[0]
    if not seen.has_adapter:
        return Package(name=name, adapter=None, base=replace(base, gguf=path), merged_from=base), record, seen
    lora = LoraFile(path=path, digest=files[path], size=path.stat().st_size, outtype="")
    return Package(name=name, adapter=lora, base=base), record, seen


def readable_store(models: ModelRepository, locations: OllamaLocations) -> Path:
    """Return the store of the models; raise DestinationError if it is not on this machine or is closed."""
    if isinstance(models, StoreModels):
        return models.store
    with Daemon(locations.address) as daemon:
        store = store_of(daemon, locations)
    if store is None or not os.access(store / "blobs", os.R_OK | os.X_OK):
        raise DestinationError(
            "The store of the daemon cannot be read from here, so its blobs cannot be verified.",
            where=models.place,
            hint="run the command as the user of the daemon, or with OLLAMA_MODELS=DIR",
        )
    return store


def _layers(store: Path, name: ModelName) -> tuple[Layer, ...]:
    """Return the configuration and the layers of a model in a store."""
    content = gguf_manifest(store, read_manifest(store, name) or b"")
    config, layers = parse_manifest(content, where=f"{store}: {name}")
    return (config, *layers)
