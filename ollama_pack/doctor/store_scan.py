"""One store: what it is, and which of its models with an adapter would not run."""

import contextlib
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.deliver.base_check import why_base_fails
from ollama_pack.deliver.history import is_version
from ollama_pack.deliver.pull import is_left_behind
from ollama_pack.doctor.findings import MINOR, PROBLEM, Finding, StoreSeen
from ollama_pack.errors import DestinationError, InputError, PackError
from ollama_pack.gguf.reader import GgufFile, read_gguf
from ollama_pack.ollama.locations import is_writable, user_owning
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, Layer, has_adapter, parse_manifest
from ollama_pack.ollama.names import ModelName
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

TOLD = 3


def look_into(path: Path, version: str, option: str = "") -> tuple[StoreSeen, list[Finding]]:
    """Return what a store is, and which of its models with an adapter this `version` would not run.

    Args:
        path: of the store.
        version: of the daemon; empty where none answers.
        option: that leads a command to this store; empty where the daemon's is the one.
    """
    names: dict[ModelName, tuple[Layer, ...]] = {}
    findings: list[Finding] = []
    for parts, file in entries_in(path):
        with contextlib.suppress(InputError):  # a stray file is no model
            name = ModelName(*parts)
            if is_left_behind(name):
                remove = f"ollama-pack remove {name}{option}"
                findings.append(Finding(MINOR, str(name), "a build that was killed left it behind", remove))
            elif name not in names and not file.is_dir():
                try:
                    names[name] = _layers_of(path, name)
                except DestinationError as error:
                    findings.append(Finding(PROBLEM, str(name), error.clause, _without(path, name)))
    adapted = {name: layers for name, layers in names.items() if has_adapter(layers)}
    for name, layers in adapted.items():
        findings += _of_model(path, name, layers, version, option)
    return (
        StoreSeen(
            path=path,
            layout="manifests-v2" if is_newer(path) else "manifests",
            owner=user_owning(path),
            writable=is_writable(path),
            free=shutil.disk_usage(path).free,
            models=len(names),
            adapted=tuple(map(str, adapted)),
        ),
        findings,
    )


def _layers_of(store: Path, name: ModelName) -> tuple[Layer, ...]:
    content = read_manifest(store, name)
    if content is None:
        raise DestinationError("Its entry leads nowhere.")
    return parse_manifest(gguf_manifest(store, content), where=store)[1]


def _without(store: Path, name: ModelName) -> str:
    """Return how to get rid of an entry that no daemon knows, so that none removes it."""
    there = (newer_path(store, name), manifest_path(store, name))
    paths = " ".join(shlex.quote(str(path)) for path in there if os.path.lexists(path))
    return f"rm {paths}, and build or pull it again"


def _of_model(
    store: Path, name: ModelName, layers: tuple[Layer, ...], version: str, option: str
) -> Iterator[Finding]:
    """Yield what keeps a model with an adapter from running as it was trained."""
    again = f"ollama-pack build DIR {name}{option}  makes it anew; ollama-pack remove {name}{option}"
    if is_version(name, listed_digest(read_manifest(store, name) or b"")):
        again = f"it is an earlier version: ollama-pack remove {name}{option}"
    lost = next((layer for layer in layers if missing_blob(store, layer)), None)
    if lost is not None:
        blob = blob_path(store, lost.digest)
        anew = f"rm {shlex.quote(str(blob))}; {again}" if blob.exists() else again
        yield Finding(PROBLEM, str(name), missing_blob(store, lost), anew)
        return
    model = [layer for layer in layers if layer.media_type == MODEL_TYPE]
    if not model:
        yield Finding(PROBLEM, str(name), "its base is no GGUF model, so Ollama ignores the adapter", again)
        return
    try:
        base = read_gguf(blob_path(store, model[-1].digest))
    except PackError as error:
        yield Finding(PROBLEM, str(name), f"its base cannot be read: {error.what}", again)
        return
    adapters = [layer for layer in layers if layer.media_type == ADAPTER_TYPE]
    if len(adapters) > 1:
        yield Finding(
            MINOR,
            str(name),
            f"it has {len(adapters)} adapters, and Ollama adds all of them",
            "if that is not meant, build it on a base without one: --base MODEL",
        )
    for layer in adapters:
        yield from _of_adapter(blob_path(store, layer.digest), base, str(name), again)
    why = why_base_fails(version, base.metadata, base.shapes)
    if why:
        yield Finding(MINOR, str(name), why, "--base with a GGUF file in llama.cpp's form")


def _of_adapter(path: Path, base: GgufFile, name: str, again: str) -> Iterator[Finding]:
    try:
        adapter = read_gguf(path)
    except PackError as error:
        anew = f"rm {shlex.quote(str(path))}; {again}"
        yield Finding(PROBLEM, name, f"its adapter is no GGUF LoRA: {error.what}", anew)
        return
    found = load_errors(adapter, base.metadata, base.shapes)
    if found:
        more = f", and {len(found) - TOLD} more" if len(found) > TOLD else ""
        yield Finding(PROBLEM, name, f"it does not load: {'; '.join(found[:TOLD])}{more}", again)
    elif scrambled_by_ollama(adapter):
        yield Finding(PROBLEM, name, "Ollama's own converter put the rows of q and k in a wrong order", again)
