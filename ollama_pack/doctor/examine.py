"""One look at an Ollama: which ways in are open, and what would not run. Nothing is changed or loaded."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.deliver.create import surely_refuses
from ollama_pack.doctor.findings import MINOR, PROBLEM, Checkup, Finding, WayIn
from ollama_pack.doctor.store_scan import look_into
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import is_near, may_answer
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations, is_writable, store_of, sudo_prefix
from ollama_pack.ollama.store_layout import is_closed, is_store
from ollama_pack.ollama.versions import GENERATIONS, LLAMA_SERVER_FROM, parse_version

LITTLE_ROOM = 1_000_000_000
"""Bytes of free disk below which a build may not find room."""

RESTART = "its log says why; ollama serve anew may help"


def examine(places: OllamaLocations) -> Checkup:
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
            if seen.version:
                seen.findings.append(Finding(PROBLEM, f"Ollama {seen.version}", error.clause, RESTART))
    for path in dict.fromkeys([*([own] if own else []), *places.stores]):
        if is_closed(path) and path != own:
            level = PROBLEM if places.named else MINOR
            seen.findings.append(
                Finding(
                    level,
                    str(path),
                    "it may not be read by you",
                    f"{sudo_prefix(path)} ollama-pack doctor; ollama serve reads it",
                )
            )
        elif is_store(path):
            named = f" --store {shlex.quote(str(path))}" if path != own else ""
            store, findings = look_into(path, seen.version, named)
            seen.stores.append(store)
            seen.findings += findings
    seen.ways = list(_delivery_checks(seen, places, refuses=refuses))
    seen.findings += _around(seen, own)
    seen.findings.sort(key=lambda finding: finding.level != PROBLEM)
    return seen


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


def _delivery_checks(seen: Checkup, places: OllamaLocations, *, refuses: bool) -> Iterator[WayIn]:
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
    new = next((path for path in places.stores if is_writable(path)), None)
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
        yield Finding(MINOR, seen.address, seen.trouble, "ollama serve, or OLLAMA_HOST=HOST:PORT")
    elif version is not None and version < GENERATIONS[0].first:
        yield Finding(PROBLEM, f"Ollama {seen.version}", "it knows no adapters in GGUF", "update Ollama")
    if not any(way.open for way in seen.ways):
        yield Finding(PROBLEM, "ways in", "every one is closed", "--via folder  keeps everything for later")
    for store in seen.stores:
        if store.free < LITTLE_ROOM:
            room = f"{store.free / 1e6:.0f} MB are free on its disk"
            yield Finding(MINOR, str(store.path), room, "free some space, or OLLAMA_MODELS on another disk")
        if not store.writable and store.path != own:
            yield Finding(
                MINOR,
                str(store.path),
                "it cannot be written",
                "with ollama serve, --via create or --via pull lets the daemon write",
            )
    needs = version is None or version >= LLAMA_SERVER_FROM
    if seen.version and needs and seen.runner is None and shutil.which("ollama"):
        yield Finding(
            PROBLEM, "llama-server", "the ollama on PATH has none, and loads no model", "install Ollama anew"
        )
