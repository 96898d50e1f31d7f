"""Scans a model store, and finds the models that would not run, or not as they were trained."""

import contextlib
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.deliver.base_check import why_base_fails
from ollama_pack.deliver.history import is_version
from ollama_pack.deliver.leftovers import is_temporary
from ollama_pack.doctor.findings import MINOR, PROBLEM, Finding, StoreSeen
from ollama_pack.doctor.shared_runner import shared_runner_findings
from ollama_pack.errors import DestinationError, InputError, PackError
from ollama_pack.gguf.constants import MERGED_ADAPTER
from ollama_pack.gguf.model_info import TOKENS_KEY
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, Layer, has_adapter, parse_manifest
from ollama_pack.ollama.names import ModelName
from ollama_pack.ollama.store_access import is_writable, sudo_prefix, user_owning
from ollama_pack.ollama.store_layout import (
    blob_path,
    entries_in,
    gguf_manifest,
    is_newer,
    listed_digest,
    manifest_path,
    missing_blob,
    newer_path,
    read_manifest,
)
from ollama_pack.verify.llama_load import load_errors, scrambled_by_ollama

SHOWN_REASONS = 3


def scan_store(path: Path, version: str, option: str = "") -> tuple[StoreSeen, list[Finding]]:
    """Return the state of a store, and what is wrong with the models in it.

    Args:
        path: the directory of the store.
        version: the version of the daemon, or an empty string if none answers.
        option: the option ``--store DIR`` for the commands of `Finding.fix`, or an empty string if the store
            is the daemon's own.
    """
    names: dict[ModelName, tuple[Layer, ...]] = {}
    findings: list[Finding] = []
    for parts, file in entries_in(path):
        with contextlib.suppress(InputError):  # The path of a stray file is not the name of a model.
            name = ModelName(*parts)
            if name in names or file.is_dir():
                continue
            try:
                layers = _layers_of(path, name)
            except DestinationError as error:
                findings.append(_damaged_entry(path, name, file, error))
                continue
            if is_temporary(name):
                remove = f"ollama-pack remove {name}{option}"
                findings.append(Finding(MINOR, str(name), "a killed build left this model behind", remove))
            else:
                names[name] = layers
    adapted = {name: layers for name, layers in names.items() if has_adapter(layers)}
    for name, layers in adapted.items():
        findings += _model_findings(path, name, layers, version, option)
    others = {name: layers for name, layers in names.items() if name not in adapted}
    merged = {name: layers for name, layers in others.items() if _has_merged_adapter(path, layers)}
    for name, layers in others.items():
        findings += _whole_model_findings(path, name, layers, option)
    findings += shared_runner_findings({**adapted, **merged})
    return (
        StoreSeen(
            path=path,
            layout="manifests-v2" if is_newer(path) else "manifests",
            owner=user_owning(path),
            writable=is_writable(path),
            free=shutil.disk_usage(path).free,
            models=len(names),
            adapted=tuple(map(str, adapted)),
            merged=tuple(map(str, merged)),
        ),
        findings,
    )


def _layers_of(store: Path, name: ModelName) -> tuple[Layer, ...]:
    """Return the layers of a model; raise DestinationError if its entry or its manifest is damaged."""
    content = read_manifest(store, name)
    if content is None:
        raise DestinationError("The manifest that its entry names does not exist.")
    return parse_manifest(gguf_manifest(store, content), where=store)[1]


def _has_merged_adapter(store: Path, layers: tuple[Layer, ...]) -> bool:
    """Return whether an adapter was merged into the weights of a model; False if they cannot be read."""
    with contextlib.suppress(PackError):
        for layer in layers:
            if layer.media_type == MODEL_TYPE:
                return MERGED_ADAPTER in read_gguf(blob_path(store, layer.digest)).metadata
    return False


def _whole_model_findings(
    store: Path, name: ModelName, layers: tuple[Layer, ...], option: str
) -> Iterator[Finding]:
    """Yield the finding that a blob of a model without an adapter layer is missing or incomplete.

    The arguments are those of `_model_findings`. Without the weights nobody can tell whether an adapter was
    merged into them, so the fix names both possibilities.
    """
    lost = next((layer for layer in layers if missing_blob(store, layer)), None)
    if lost is not None:
        blob, again = blob_path(store, lost.digest), f"ollama-pack build DIR {name} --merge{option}"
        remove = f"rm {shlex.quote(str(blob))}; " if blob.exists() else ""
        fix = f"{remove}ollama pull {name}; or, if an adapter is merged into it, {again}"
        yield Finding(PROBLEM, str(name), missing_blob(store, lost), fix)


def _damaged_entry(store: Path, name: ModelName, file: Path, error: DestinationError) -> Finding:
    """Return what is wrong with an entry so damaged that ``ollama rm`` does not know the model.

    Args:
        store: the directory of the store.
        name: the name of the model.
        file: the entry.
        error: why it cannot be read.
    """
    entries = (newer_path(store, name), manifest_path(store, name))
    paths = " ".join(shlex.quote(str(path)) for path in entries if os.path.lexists(path))
    remove = f"rm {paths}" if is_writable(store) else f"{sudo_prefix(store)} rm {paths}"
    empty = file.is_file() and file.stat().st_size == 0
    why = "its manifest is empty, as a full disk leaves it" if empty else error.clause
    what = f"{why}; Ollama removes no unused blobs while it is there"
    if is_temporary(name):
        return Finding(MINOR, str(name), f"a build left it behind: {what}", remove)
    return Finding(PROBLEM, str(name), what, f"{remove}, and build or pull it again")


def _model_findings(
    store: Path, name: ModelName, layers: tuple[Layer, ...], version: str, option: str
) -> Iterator[Finding]:
    """Yield the reasons why a model with an adapter does not run, or not as it was trained.

    Args:
        store: the directory of the store.
        name: the name of the model.
        layers: the layers of its manifest.
        version: the version of the daemon, or an empty string.
        option: the option ``--store DIR``, or an empty string.
    """
    rebuild = f"ollama-pack build DIR {name}{option}  builds it again; ollama-pack remove {name}{option}"
    if is_version(name, listed_digest(read_manifest(store, name) or b"")):
        rebuild = f"it is an earlier version: ollama-pack remove {name}{option}"
    lost = next((layer for layer in layers if missing_blob(store, layer)), None)
    if lost is not None:
        blob = blob_path(store, lost.digest)
        fix = f"rm {shlex.quote(str(blob))}; {rebuild}" if blob.exists() else rebuild
        yield Finding(PROBLEM, str(name), missing_blob(store, lost), fix)
        return
    model = [layer for layer in layers if layer.media_type == MODEL_TYPE]
    if not model:
        what = "its base is not a GGUF model, so Ollama ignores the adapter"
        yield Finding(PROBLEM, str(name), what, rebuild)
        return
    try:
        base = read_gguf(blob_path(store, model[-1].digest), (TOKENS_KEY,))
    except PackError as error:
        yield Finding(PROBLEM, str(name), f"its base cannot be read: {error.clause}", rebuild)
        return
    adapters = [layer for layer in layers if layer.media_type == ADAPTER_TYPE]
    if len(adapters) > 1:
        yield Finding(
            MINOR,
            str(name),
            f"it has {len(adapters)} adapters, and Ollama adds all of them",
            "if that is not intended, build it on a base without an adapter: --base MODEL",
        )
    for layer in adapters:
        yield from _adapter_findings(blob_path(store, layer.digest), base, str(name), rebuild)
    why = why_base_fails(version, base.metadata, base.shapes)
    if why:
        fix = "ollama run the base once, or --base with a GGUF file in llama.cpp's form; then build again"
        yield Finding(MINOR, str(name), why, fix)


def _adapter_findings(path: Path, base: GgufFile, name: str, rebuild: str) -> Iterator[Finding]:
    """Yield the reasons why llama.cpp would not load the adapter in `path` with its base, or misread it."""
    try:
        adapter = read_gguf(path)
    except PackError as error:
        fix = f"rm {shlex.quote(str(path))}; {rebuild}"
        yield Finding(PROBLEM, name, f"its adapter is not a GGUF LoRA: {error.clause}", fix)
        return
    reasons = load_errors(adapter, base.metadata, base.shapes)
    if reasons:
        more = f", and {len(reasons) - SHOWN_REASONS} more" if len(reasons) > SHOWN_REASONS else ""
        what = f"it does not load: {'; '.join(reasons[:SHOWN_REASONS])}{more}"
        yield Finding(PROBLEM, name, what, rebuild)
    elif scrambled_by_ollama(adapter):
        # Such an adapter loads without an error, but its answers are wrong.
        yield Finding(
            PROBLEM, name, "Ollama's own converter wrote the rows of q and k in a wrong order", rebuild
        )
