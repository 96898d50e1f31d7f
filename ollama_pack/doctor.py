"""One look at an Ollama: which ways in are open, and what would not run. Nothing is changed or loaded."""

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ollama_pack.bases.fit import misfits, scrambled_by_ollama
from ollama_pack.destinations.address import is_near, may_answer
from ollama_pack.destinations.base_model import why_base_fails
from ollama_pack.destinations.create import surely_refuses
from ollama_pack.destinations.daemon import Daemon
from ollama_pack.destinations.generations import GENERATIONS, LLAMA_SERVER_FROM, parse_version
from ollama_pack.destinations.layers import ADAPTER_TYPE, MODEL_TYPE, has_adapter, parse_manifest
from ollama_pack.destinations.manifests import gguf_manifest, is_newer, names_in, newer_path, read_manifest
from ollama_pack.destinations.places import Places, can_take, owner_of, store_of
from ollama_pack.destinations.pull import is_left_behind
from ollama_pack.errors import DestinationError, InputError, PackError
from ollama_pack.gguf_io.read import GgufFile, read_gguf
from ollama_pack.names import ModelName, blob_path, manifest_path
from ollama_pack.parts import Layer

PROBLEM, WARNING = "problem", "warning"

LITTLE_ROOM = 1_000_000_000
"""Bytes of free disk below which a build may not find room."""

TOLD = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not work, or may not.

    Attributes:
        level: ``problem`` or ``warning``.
        about: a model, a place or a program.
        what: is wrong with it.
        fix: what to do.
    """

    level: str
    about: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class WayIn:
    """Whether a model can be put there.

    Attributes:
        via: ``create``, ``pull`` or ``store``.
        open: whether it can.
        why: it is so.
    """

    via: str
    open: bool
    why: str


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """A model store on this machine.

    Attributes:
        path: of it.
        layout: ``manifests``, or ``manifests-v2`` as of Ollama 0.40.
        owner: the user it belongs to; empty where that has no name.
        writable: whether this user may write into it.
        free: bytes on its disk.
        models: how many are in it.
        adapted: names of those with an adapter.
    """

    path: Path
    layout: str
    owner: str
    writable: bool
    free: int
    models: int
    adapted: tuple[str, ...]


@dataclass(slots=True)
class Checkup:
    """What was seen.

    Attributes:
        address: of the daemon.
        version: it says; empty where none answers.
        trouble: why none does.
        ways: in.
        stores: the daemon's first.
        runner: ``llama-server``; None where it was not found.
        findings: problems first.
    """

    address: str
    version: str = ""
    trouble: str = "no Ollama daemon answers"
    ways: list[WayIn] = field(default_factory=list)
    stores: list[StoreSeen] = field(default_factory=list)
    runner: Path | None = None
    findings: list[Finding] = field(default_factory=list)


def examine(places: Places) -> Checkup:
    """Look at the daemon and the stores of this machine."""
    seen = Checkup(places.address, runner=find_runner())
    own: Path | None = None
    refuses = False
    if may_answer(places.address):
        try:
            with Daemon(places.address) as daemon:
                seen.version = daemon.version()
                refuses = surely_refuses(daemon)
                own = store_of(daemon, places)
        except DestinationError as error:
            seen.trouble = error.clause
    paths = dict.fromkeys([*([own] if own else []), *places.stores])
    found = [path for path in paths if (path / "manifests").is_dir()]
    for path in found:
        store, findings = look_into(path, seen.version)
        seen.stores.append(store)
        seen.findings += findings
    seen.ways = list(_ways(seen, places, refuses=refuses))
    seen.findings += _around(seen, own)
    seen.findings.sort(key=lambda finding: finding.level != PROBLEM)
    return seen


def look_into(path: Path, version: str) -> tuple[StoreSeen, list[Finding]]:
    """Return what a store is, and which of its models with an adapter this `version` would not run."""
    names: list[ModelName] = []
    adapted: list[str] = []
    findings: list[Finding] = []
    for parts in names_in(path):
        with contextlib.suppress(InputError):  # a stray file is no model
            names.append(ModelName(*parts))
    for name in names:
        if is_left_behind(name):
            findings.append(
                Finding(WARNING, str(name), "a build that was killed left it behind", f"ollama rm {name}")
            )
            continue
        try:
            content = read_manifest(path, name)
            layers = () if content is None else parse_manifest(gguf_manifest(path, content), where=path)[1]
        except DestinationError as error:
            paths = [newer_path(path, name), manifest_path(path, name)]
            gone = " ".join(shlex.quote(str(each)) for each in paths if os.path.lexists(each))
            findings.append(Finding(PROBLEM, str(name), error.what, f"rm {gone}, and build or pull it again"))
            continue
        if has_adapter(layers):
            adapted.append(str(name))
            findings += _of_model(path, name, layers, version)
    return (
        StoreSeen(
            path=path,
            layout="manifests-v2" if is_newer(path) else "manifests",
            owner=owner_of(path),
            writable=can_take(path),
            free=shutil.disk_usage(path).free,
            models=len(names),
            adapted=tuple(adapted),
        ),
        findings,
    )


def find_runner(program: str = "") -> Path | None:
    """Return ``llama-server`` where the Ollama of this machine looks for it; None where it is not.

    Args:
        program: of Ollama; the one on the path where empty.
    """
    named = program or shutil.which("ollama")
    if not named:
        return None
    home = Path(named).resolve().parent
    name = "llama-server.exe" if sys.platform == "win32" else "llama-server"
    places = (home / "../lib/ollama", home / "lib/ollama", home, home / "build/lib/ollama")
    return next((path for place in places if (path := (place / name).resolve()).is_file()), None)


def _ways(seen: Checkup, places: Places, *, refuses: bool) -> Iterator[WayIn]:
    near = is_near(seen.address)
    if not seen.version:
        yield WayIn("create", open=False, why=seen.trouble)
        yield WayIn("pull", open=False, why=seen.trouble)
    else:
        known = parse_version(seen.version) is not None
        creates = "this Ollama creates adapters" if known else "its version says nothing, so it is asked"
        yield WayIn("create", not refuses, "this Ollama creates no adapters" if refuses else creates)
        yield WayIn(
            "pull", near, "the daemon is on this machine" if near else "the daemon is on another machine"
        )
    there = next((store.path for store in seen.stores if store.writable), None)
    new = next((path for path in places.stores if can_take(path)), None)
    if there:
        yield WayIn("store", open=True, why=f"{there} can be written")
    elif new and not new.is_dir():
        yield WayIn("store", open=True, why=f"{new} can be made, for a base that is a GGUF file")
    else:
        yield WayIn("store", open=False, why="no store here can be written")


def _around(seen: Checkup, own: Path | None) -> Iterator[Finding]:
    """Yield what is wrong around the models: daemon, disk, runner."""
    version = parse_version(seen.version)
    if not seen.version:
        yield Finding(WARNING, seen.address, seen.trouble, "ollama serve, or OLLAMA_HOST=HOST:PORT")
    elif version is not None and version < GENERATIONS[0].first:
        yield Finding(PROBLEM, f"Ollama {seen.version}", "it knows no adapters in GGUF", "update Ollama")
    if not any(way.open for way in seen.ways):
        yield Finding(PROBLEM, "ways in", "every one is closed", "--via folder  keeps everything for later")
    for store in seen.stores:
        if store.free < LITTLE_ROOM:
            room = f"{store.free / 1e6:.0f} MB are free on its disk"
            yield Finding(WARNING, str(store.path), room, "free some space, or OLLAMA_MODELS on another disk")
        if not store.writable and store.path != own:
            yield Finding(
                WARNING,
                str(store.path),
                "it cannot be written",
                "with ollama serve, --via create or --via pull lets the daemon write",
            )
    needs = version is None or version >= LLAMA_SERVER_FROM
    if seen.version and needs and seen.runner is None and shutil.which("ollama"):
        yield Finding(
            PROBLEM, "llama-server", "the ollama on PATH has none, and loads no model", "install Ollama anew"
        )


def _of_model(store: Path, name: ModelName, layers: tuple[Layer, ...], version: str) -> Iterator[Finding]:
    """Yield what keeps a model with an adapter from running as it was trained."""
    again = f"ollama-pack build DIR {name}  makes it anew; ollama-pack remove {name}"
    missing = [layer for layer in layers if not blob_path(store, layer.digest).is_file()]
    if missing:
        yield Finding(PROBLEM, str(name), f"its blob {missing[0].digest[:19]}… is not there", again)
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
            WARNING, str(name), f"it has {len(adapters)} adapters, and Ollama adds all of them", again
        )
    for layer in adapters:
        yield from _of_adapter(blob_path(store, layer.digest), base, str(name), again)
    why = why_base_fails(version, base.metadata, base.shapes)
    if why:
        yield Finding(WARNING, str(name), why, "--base with a GGUF file in llama.cpp's form")


def _of_adapter(path: Path, base: GgufFile, name: str, again: str) -> Iterator[Finding]:
    try:
        adapter = read_gguf(path)
    except PackError as error:
        yield Finding(PROBLEM, name, f"its adapter is no GGUF LoRA: {error.what}", again)
        return
    found = misfits(adapter, base.metadata, base.shapes)
    if found:
        more = f", and {len(found) - TOLD} more" if len(found) > TOLD else ""
        yield Finding(PROBLEM, name, f"it does not load: {'; '.join(found[:TOLD])}{more}", again)
    elif scrambled_by_ollama(adapter):
        yield Finding(PROBLEM, name, "Ollama's own converter put the rows of q and k in a wrong order", again)
