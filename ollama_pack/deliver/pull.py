"""A model that the daemon fetches from us: no ``/api/create``, and no access to its store.

Ollama 0.34.1 and later create no models with adapters, but they pull and run them. The finished model is
served on loopback, the daemon pulls it under a name of that registry, gives it its own name, and forgets the
other. The base is in the daemon already and is never moved: the adapter is, and a few small blobs.
"""

import contextlib
import re
from dataclasses import replace

from ollama_pack.deliver.base_check import digest_in, ensure_base, plan_by_daemon
from ollama_pack.deliver.image import build_image, image_of_gguf
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt, replaced_note
from ollama_pack.errors import DestinationError
from ollama_pack.files import Progress, sha256_of_file
from ollama_pack.ollama.address import is_near
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.loopback_registry import Registry, UnreachableError, did_not_come, is_served, serving
from ollama_pack.ollama.manifest import BaseImage, Image
from ollama_pack.ollama.manifest_probe import probe_manifest
from ollama_pack.ollama.models import DaemonModels
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store import spelled_as_in

PULL = "pull"
_LEFT_BEHIND = re.compile(r"127\.0\.0\.1:[0-9]{1,5}/p[0-9a-f]{32}/model:latest")


def is_left_behind(name: ModelName) -> bool:
    """Return whether a name is one that a registry of ours had, which lives for seconds."""
    return _LEFT_BEHIND.fullmatch(name.display) is not None


def pull_model(package: Package, daemon: Daemon, progress: Progress | None = None) -> Receipt:
    """Have the daemon fetch `package`; a base it lacks is pulled first, a model of that name is replaced.

    Raises:
        UnreachableError: the daemon is not on this machine.
        DestinationError: the daemon said no, broke off, or is not there.
        UnsupportedError: the base cannot take an adapter.
        InputError: the adapter does not fit it.
    """
    _require_near(daemon)
    remove_stale_names(daemon)
    lines = ensure_base(package, daemon, progress)
    package, image = _package_and_image(package, daemon, progress)
    before, sent = digest_in(daemon, package.name), 0
    if before != image.digest:
        with serving(image) as registry:
            _fetch(package, daemon, registry, progress)
            sent = registry.moved
        _require_arrival(package, image, daemon)
    done = f"registered {package.name} with Ollama at {daemon.address}"
    return Receipt(
        via=PULL,
        name=str(package.name),
        digest=image.digest,
        where=daemon.address,
        bytes_written=sent,
        lines=(done, *replaced_note(before, image.digest), *lines),
        served=True,
    )


def plan_pull(package: Package, daemon: Daemon) -> DeliveryPlan:
    """Return what `pull_model` would move; a GGUF base counts in full, since it is not read here.

    Raises:
        UnreachableError: the daemon is not on this machine.
        DestinationError: the daemon said no, or is not there.
    """
    _require_near(daemon)
    return plan_by_daemon(daemon, package, PULL)


def remove_stale_names(daemon: Daemon) -> None:
    """Remove names that a run left behind which was killed between fetching a model and naming it.

    One that is still being served belongs to a run that is not over.

    Raises:
        DestinationError: the daemon is not there.
    """
    for model in daemon.models():
        if _LEFT_BEHIND.fullmatch(model.name) and not is_served(parse_name(model.name)):
            with contextlib.suppress(DestinationError):  # another run may have removed it
                daemon.delete(model.name)


def _require_near(daemon: Daemon) -> None:
    if not is_near(daemon.address):
        raise UnreachableError(
            "The daemon is on another machine, and would have to fetch the model from this one's loopback.",
            where=daemon.address,
            hint="run ollama-pack there, or --via create where that Ollama still creates adapters",
        )


def _package_and_image(package: Package, daemon: Daemon, progress: Progress | None) -> tuple[Package, Image]:
    gguf = package.base.gguf
    base: BaseImage
    if gguf is None:
        base = probe_manifest(daemon, package.base.tag)
    else:
        base = image_of_gguf(package.base, sha256_of_file(gguf, progress), gguf.stat().st_size)
    there = (entry.name.parts for entry in DaemonModels(daemon).entries())
    named = replace(package, name=spelled_as_in(there, package.name))
    return named, build_image(named, base)


def _fetch(package: Package, daemon: Daemon, registry: Registry, progress: Progress | None) -> None:
    """Have the daemon pull the model, and call it by its name; the other name does not stay."""
    name, served = package.name.display, registry.name.display
    try:
        daemon.pull(served, _labelled_progress(package, progress), insecure=True)
        if progress is not None and package.adapter.digest in registry.fetched:
            progress(f"sending {package.adapter.path.name}", package.adapter.size, package.adapter.size)
        daemon.unload(name)
        daemon.copy(served, name)
    except DestinationError as error:
        if registry.asked:
            raise
        raise did_not_come(daemon.address) from error
    finally:
        with contextlib.suppress(DestinationError):
            daemon.delete(served)
    daemon.unload(name)


def _labelled_progress(package: Package, progress: Progress | None) -> Progress | None:
    """Return a progress that calls the adapter by its name, where the daemon calls it by its digest."""
    if progress is None:
        return None
    file, start = package.adapter.path.name, package.adapter.digest.removeprefix("sha256:")[:12]

    def told(label: str, done: int, total: int) -> None:
        progress(f"sending {file}" if label.endswith(start) else label, done, total)

    return told


def _require_arrival(package: Package, image: Image, daemon: Daemon) -> None:
    found = digest_in(daemon, package.name)
    if found != image.digest:
        raise DestinationError(
            f"The daemon has another model under that name than it fetched ({found[:12] or 'none'}).",
            where=f"{daemon.address}: {package.name}",
            hint="the same command once more; something else may be writing that name",
        )
