"""The delivery ``pull``: the daemon pulls the model from a registry that this process serves.

It needs neither ``/api/create`` nor access to the daemon's store. Ollama 0.34.1 and later do not create
models with adapters, but they pull and run them. The finished model is served on loopback; the daemon pulls
it under the name that it has in that registry, copies it to its real name, and deletes the first name. The
daemon has the base already, so only the adapter and a few small blobs are sent.
"""

import contextlib
from typing import TYPE_CHECKING

from ollama_pack.deliver.base_check import digest_in, ensure_base, plan_by_daemon
from ollama_pack.deliver.image import build_image, image_of_gguf
from ollama_pack.deliver.leftovers import remove_leftovers
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt, replaced_note
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.address import is_near
from ollama_pack.ollama.api_errors import UnreachableError, did_not_come
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.manifest import BaseImage, Image
from ollama_pack.ollama.models import DaemonModels
from ollama_pack.ollama.store import spelled_as_in

if TYPE_CHECKING:
    from ollama_pack.ollama.loopback_registry import Registry

PULL = "pull"


def pull_model(package: Package, daemon: Daemon, progress: Progress | None = None) -> Receipt:
    """Have the daemon pull `package`: pull a missing base first, and replace a model of that name.

    Raises:
        UnreachableError: the daemon is not on this machine.
        DestinationError: the daemon refuses, breaks off or does not answer.
        UnsupportedError: the base cannot take an adapter.
        ProofError: the base is not the one that the adapter was trained on, or the adapter does not fit it.
        InputError: the adapter is damaged.
    """
    from ollama_pack.ollama.loopback_registry import serving

    require_near(daemon)
    remove_leftovers(daemon)
    lines = ensure_base(package, daemon, progress)
    package, image = _package_and_image(package, daemon, progress)
    before, sent = digest_in(daemon, package.name), 0
    if digest_in(daemon, package.place) != image.digest:
        with serving(image) as registry:
            fetch_served(package.place.display, daemon, registry, _labelled_progress(package, progress))
            adapter = package.adapter
            if progress is not None and adapter is not None and adapter.digest in registry.fetched:
                progress(f"sending {adapter.path.name}", adapter.size, adapter.size)
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
    """Return what `pull_model` would send; a GGUF base counts with its full size, since it is not read here.

    Raises:
        UnreachableError: the daemon is not on this machine.
        DestinationError: the daemon refuses or does not answer.
    """
    require_near(daemon)
    return plan_by_daemon(daemon, package, PULL)


def require_near(daemon: Daemon) -> None:
    """Require a daemon on this machine.

    Raises:
        UnreachableError: the daemon is on another machine.
    """
    if not is_near(daemon.address):
        raise UnreachableError(
            "The daemon is on another machine, so it cannot pull from the loopback address of this one.",
            where=daemon.address,
            hint="run ollama-pack there, or use --via create with Ollama 0.34.0 or earlier",
        )


def _package_and_image(package: Package, daemon: Daemon, progress: Progress | None) -> tuple[Package, Image]:
    """Return the package with its name spelled as in the daemon, and its image."""
    from ollama_pack.ollama.manifest_probe import probe_manifest

    gguf = package.base.gguf
    base: BaseImage
    if gguf is None:
        base = probe_manifest(daemon, package.base.tag)
    else:
        base = image_of_gguf(package.base, package.base.blob_digest(progress), package.base_size)
    known = (entry.name.parts for entry in DaemonModels(daemon).entries())
    named = package.renamed(spelled_as_in(known, package.name))
    return named, build_image(named, base)


def fetch_served(name: str, daemon: Daemon, registry: "Registry", progress: Progress | None = None) -> None:
    """Have the daemon pull the model that is served, copy it to its real name, and delete the temporary name.

    Args:
        name: the real name.
        daemon: the daemon, which is on this machine.
        registry: the registry of this process that serves the model.
        progress: called while the daemon pulls.

    Raises:
        DestinationError: the daemon cannot reach the registry, or refuses.
    """
    served = registry.name.display
    try:
        daemon.pull(served, progress, insecure=True)
        daemon.unload(name)
        daemon.copy(served, name)
    except DestinationError as error:
        if registry.asked:
            raise
        raise did_not_come(daemon.address) from error
    finally:
        with contextlib.suppress(DestinationError):
            erase_model(daemon, served)
    daemon.unload(name)


def _labelled_progress(package: Package, progress: Progress | None) -> Progress | None:
    """Return a progress function that shows the adapter's file name instead of its digest."""
    if progress is None or package.adapter is None:
        return progress
    file, start = package.adapter.path.name, package.adapter.digest.removeprefix("sha256:")[:12]

    def report(label: str, done: int, total: int) -> None:
        progress(f"sending {file}" if label.endswith(start) else label, done, total)

    return report


def _require_arrival(package: Package, image: Image, daemon: Daemon) -> None:
    """Raise DestinationError unless the daemon has this very model under its name."""
    digest = digest_in(daemon, package.place)
    if digest != image.digest:
        found = f"the model {digest[:12]}" if digest else "no model"
        raise DestinationError(
            f"After the pull, the daemon has {found} under this name instead of {image.digest[:12]}.",
            where=f"{daemon.address}: {package.name}",
            hint="run the same command again; another program may be writing that name",
            code="name-changed",
        )
