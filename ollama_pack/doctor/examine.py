"""Examines an Ollama: its daemon, stores, disk and runner. Nothing is changed."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ollama_pack.deliver.create import surely_refuses
from ollama_pack.doctor.findings import MINOR, PROBLEM, Checkup, DeliveryCheck, Finding
from ollama_pack.doctor.runner_check import check_runner
from ollama_pack.doctor.store_scan import scan_store
from ollama_pack.errors import DestinationError, UsageError
from ollama_pack.ollama.address import is_near, may_answer
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import store_of
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.store_access import is_writable, sudo_prefix
from ollama_pack.ollama.store_layout import is_closed, is_store
from ollama_pack.ollama.versions import GENERATIONS, parse_version

LITTLE_ROOM = 1_000_000_000
"""Free bytes on a disk below which a build may run out of space."""

RESTART = "read the daemon's log, then restart ollama serve"


def examine(locations: OllamaLocations, *, load: bool = True) -> Checkup:
    """Examine the daemon and the stores of this machine.

    Args:
        locations: the daemon and the stores.
        load: whether a model may be loaded for a moment, to see whether the daemon can run one.
    """
    checkup = Checkup(locations.shown)
    own: Path | None = None
    refuses = False
    if may_answer(locations.address):
        try:
            with Daemon(locations.address) as daemon:
                checkup.version = daemon.version()
                refuses = surely_refuses(daemon)
                own = store_of(daemon, locations)
                checkup.runner = check_runner(daemon, load=load)
        except (DestinationError, UsageError) as error:
            checkup.trouble = error.clause
            if checkup.version:
                checkup.findings.append(Finding(PROBLEM, f"Ollama {checkup.version}", error.clause, RESTART))
    for path in dict.fromkeys([*([own] if own else []), *locations.stores]):
        if is_closed(path) and path != own:
            level = PROBLEM if locations.named else MINOR
            command = f"{sudo_prefix(path)} ollama-pack doctor  checks it as its owner"
            checkup.findings.append(Finding(level, str(path), "you may not read this store", command))
        elif is_store(path):
            option = f" --store {shlex.quote(str(path))}" if path != own else ""
            store, findings = scan_store(path, checkup.version, option)
            checkup.stores.append(store)
            checkup.findings += findings
    checkup.ways = list(_delivery_checks(checkup, locations, refuses=refuses))
    checkup.findings += _daemon_findings(checkup, named=locations.host_named)
    checkup.findings += _machine_findings(checkup, own)
    checkup.findings.sort(key=lambda finding: finding.level != PROBLEM)
    return checkup


def _delivery_checks(
    checkup: Checkup, locations: OllamaLocations, *, refuses: bool
) -> Iterator[DeliveryCheck]:
    """Yield, for each delivery, whether it would work on this machine, and why.

    Args:
        checkup: daemon and stores, examined.
        locations: the daemon and the stores that were searched.
        refuses: whether the daemon is known to refuse to create adapters.
    """
    near = is_near(checkup.address)
    if not checkup.version:
        yield DeliveryCheck("create", open=False, why=checkup.trouble)
        yield DeliveryCheck("pull", open=False, why=checkup.trouble)
    else:
        known = parse_version(checkup.version) is not None
        accepts = (
            "this Ollama creates models with adapters"
            if known
            else "the version of this Ollama is unknown, so a build tries it"
        )
        why = "this Ollama creates only models into which the adapter is merged" if refuses else accepts
        yield DeliveryCheck("create", not refuses, why)
        machine = "this machine" if near else "another machine"
        yield DeliveryCheck("pull", near, f"the daemon is on {machine}")
    writable = next((store.path for store in checkup.stores if store.writable), None)
    new = next((path for path in locations.stores if is_writable(path)), None)
    if writable:
        yield DeliveryCheck("store", open=True, why=f"{writable} is writable")
    elif new and not new.is_dir():
        yield DeliveryCheck("store", open=True, why=f"{new} can be created, for a base that is a GGUF file")
    else:
        yield DeliveryCheck("store", open=False, why="no store on this machine is writable")


def _daemon_findings(checkup: Checkup, *, named: bool) -> Iterator[Finding]:
    """Yield what is wrong with the daemon: it does not answer, is too old for adapters, or runs no model.

    Args:
        checkup: everything that was examined.
        named: whether the user named the daemon; then a build does not use a store in its place.
    """
    version = parse_version(checkup.version)
    if not checkup.version and named:
        what, fix = f"{checkup.trouble}, but OLLAMA_HOST names it", "ollama serve there, or --via store"
        yield Finding(PROBLEM, checkup.address, what, fix)
    elif not checkup.version:
        yield Finding(MINOR, checkup.address, checkup.trouble, "ollama serve, or OLLAMA_HOST=HOST:PORT")
    elif version is not None and version < GENERATIONS[0].first:
        about = f"Ollama {checkup.version}"
        yield Finding(PROBLEM, about, "it does not support adapters in GGUF", "update Ollama")
    if checkup.runner.works is False:
        lacks = "llama-server" in checkup.runner.why and "not found" in checkup.runner.why
        fix = "reinstall Ollama, whose llama-server is missing" if lacks else RESTART
        yield Finding(PROBLEM, f"Ollama {checkup.version}", checkup.runner.why, fix)


def _machine_findings(checkup: Checkup, own: Path | None) -> Iterator[Finding]:
    """Yield what is wrong with the deliveries, the disks and the stores.

    Args:
        checkup: everything that was examined.
        own: the store of the daemon, or None if it is unknown.
    """
    if not any(way.open for way in checkup.ways):
        what = "none of create, pull and store works"
        yield Finding(PROBLEM, "delivery", what, "--via folder  writes all files into a directory")
    for store in checkup.stores:
        if store.free < LITTLE_ROOM:
            room = f"only {store.free / 1e6:.0f} MB are free on its disk"
            yield Finding(MINOR, str(store.path), room, "free some space, or OLLAMA_MODELS on another disk")
        if not store.writable and store.path != own:
            yield Finding(
                MINOR,
                str(store.path),
                "you may not write into this store",
                "ollama serve, then --via create or --via pull, lets the daemon write",
            )
