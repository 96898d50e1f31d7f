"""A model through a running daemon: its blobs are sent, then ``/api/create`` puts them together.

Ollama 0.34.1 and later refuse to create models with adapters, though they run them (`generations`).
"""

from typing import Any

from ollama_pack.deliver.base_check import digest_in, ensure_base, plan_by_daemon
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt, replaced_note
from ollama_pack.files import Progress
from ollama_pack.ollama.api_errors import AdapterRefusedError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.versions import generation_of

CREATE = "create"
NO_TEMPLATE = "{{ .Prompt }}"  # what a daemon shows where there is none


def create_model(package: Package, daemon: Daemon, progress: Progress | None = None) -> Receipt:
    """Have the daemon make `package`; a base it lacks is pulled first, a model of that name is replaced.

    Raises:
        AdapterRefusedError: this Ollama creates no models with adapters any more.
        DestinationError: the daemon said no, broke off, or is not there.
        UnsupportedError: the base cannot take an adapter.
        InputError: the adapter does not fit it.
    """
    _refuse_early(package, daemon)
    lines = ensure_base(package, daemon, progress)
    sent = daemon.upload(package.adapter.path, package.adapter.digest, progress)
    fields = _create_body(package)
    if package.base.gguf is not None:
        digest = _base_digest(package, progress)
        fields["files"] = {package.base.gguf.name: digest}
        sent += daemon.upload(package.base.gguf, digest, progress)
    name, before = package.name.display, digest_in(daemon, package.name)
    daemon.unload(name)
    daemon.create(name, fields, progress)
    daemon.unload(name)
    digest = digest_in(daemon, package.name)
    done = [f"registered {package.name} with Ollama at {daemon.address}", *replaced_note(before, digest)]
    return Receipt(
        via=CREATE,
        name=str(package.name),
        digest=digest,
        where=daemon.address,
        bytes_written=sent,
        lines=(*done, *lines, *guessed(package, daemon)),
        served=True,
    )


def plan_create(package: Package, daemon: Daemon) -> DeliveryPlan:
    """Return what `create_model` would send; a GGUF base counts in full, since it is not read here.

    Raises:
        DestinationError: the daemon said no, or is not there.
    """
    return plan_by_daemon(daemon, package, CREATE)


def surely_refuses(daemon: Daemon) -> bool:
    """Return whether the daemon's version is one that creates no adapters; one built from source may.

    Raises:
        DestinationError: the daemon is not there.
    """
    generation = generation_of(daemon.version())
    return generation is not None and not generation.creates


def guessed(package: Package, daemon: Daemon) -> list[str]:
    """Return what to tell the user where the daemon guessed a prompt template for a GGUF file, else nothing.

    Raises:
        DestinationError: the daemon said no, or is not there.
    """
    if package.base.gguf is None or package.template:
        return []
    shown = daemon.show(package.name.display)
    text = "" if shown is None else shown.modelfile
    if "\nTEMPLATE " not in text or f"\nTEMPLATE {NO_TEMPLATE}" in text:
        return []
    told = f"Ollama put a prompt template of its own guess over the one in {package.base.gguf.name}"
    return [f"{told}: answers may differ from training; --via store keeps the file's"]


def _create_body(package: Package) -> dict[str, Any]:
    """Return the body of ``/api/create``; empty fields are left out, which means inherit."""
    fields: dict[str, Any] = {
        "from": parse_name(package.base.tag).display if package.base.gguf is None else "",
        "adapters": {_gguf_name(package): package.adapter.digest},
        "template": package.template,
        "system": package.system,
        "license": list(package.licenses),
        "parameters": dict(package.parameters),
        "messages": [dict(message) for message in package.messages],
        "renderer": package.renderer,
        "parser": package.parser,
        "requires": package.requires,
    }
    return {key: value for key, value in fields.items() if value}


def _gguf_name(package: Package) -> str:
    """Return the adapter's file name; the daemon takes a file for GGUF by its ending."""
    name = package.adapter.path.name
    return name if name.endswith(".gguf") else f"{name}.gguf"


def _base_digest(package: Package, progress: Progress | None) -> str:
    from ollama_pack.files import sha256_of_file

    assert package.base.gguf is not None
    return sha256_of_file(package.base.gguf, progress)


def _refuse_early(package: Package, daemon: Daemon) -> None:
    """Spare the user gigabytes sent in vain: only a daemon that surely refuses is not asked at all."""
    if package.base.gguf is not None and surely_refuses(daemon):
        raise AdapterRefusedError(
            "This Ollama no longer creates models with adapters; it still runs them.",
            where=daemon.address,
            hint="--via pull",
        )
