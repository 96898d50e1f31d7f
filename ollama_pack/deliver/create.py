"""The delivery ``create``: uploads the blobs to a running daemon, which makes the model with ``/api/create``.

Ollama 0.34.1 and later do not create models with adapters, but run them; the table of versions is in
`ollama_pack.ollama.versions`.
"""

from pathlib import Path
from typing import Any

from ollama_pack.deliver.base_check import digest_in, ensure_base, plan_by_daemon
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt, replaced_note
from ollama_pack.disk.files import Progress
from ollama_pack.ollama.api_errors import AdapterRefusedError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.versions import generation_of

CREATE = "create"
NO_TEMPLATE = "{{ .Prompt }}"
"""The template that a daemon shows for a model without one."""


def create_model(package: Package, daemon: Daemon, progress: Progress | None = None) -> Receipt:
    """Have the daemon create `package`: pull a missing base first, and replace a model of that name.

    Raises:
        AdapterRefusedError: this version of Ollama does not create models with adapters.
        DestinationError: the daemon refuses, breaks off or does not answer.
        UnsupportedError: the base cannot take an adapter.
        ProofError: the base is not the one that the adapter was trained on, or the adapter does not fit it.
        InputError: the adapter is damaged.
    """
    _refuse_early(package, daemon)
    lines = ensure_base(package, daemon, progress)
    sent, adapter = 0, package.adapter
    if adapter is not None:
        sent = daemon.upload(adapter.path, adapter.digest, progress)
    fields = _create_body(package)
    if package.base.gguf is not None:
        digest = package.base.blob_digest(progress)
        fields["files"] = {package.base.gguf.name: digest}
        sent += daemon.upload(package.base.gguf, digest, progress)
    name, before = package.place.display, digest_in(daemon, package.name)
    daemon.unload(name)
    daemon.create(name, fields, progress)
    daemon.unload(name)
    digest = digest_in(daemon, package.place)
    done = [f"registered {package.name} with Ollama at {daemon.address}", *replaced_note(before, digest)]
    return Receipt(
        via=CREATE,
        name=str(package.name),
        digest=digest,
        where=daemon.address,
        bytes_written=sent,
        lines=(*done, *lines, *kept_notes(package, daemon), *guessed_template_note(package, daemon)),
        served=True,
    )


def plan_create(package: Package, daemon: Daemon) -> DeliveryPlan:
    """Return what `create_model` would send.

    A GGUF base counts with its full size: the daemon can be asked for it by its digest only, and for that the
    whole file would have to be read.

    Raises:
        DestinationError: the daemon refuses or does not answer.
    """
    return plan_by_daemon(daemon, package, CREATE)


def surely_refuses(daemon: Daemon) -> bool:
    """Return whether the daemon's version is known not to create models with adapters.

    An Ollama that was built from source has no known version, so the answer for it is False.

    Raises:
        DestinationError: the daemon does not answer.
    """
    generation = generation_of(daemon.version())
    return generation is not None and not generation.creates


def guessed_template_note(package: Package, daemon: Daemon) -> list[str]:
    """Return a warning if the daemon guessed a prompt template for a GGUF base, else no lines.

    Ollama compares the template inside the file with the templates it knows, and uses the most similar one.

    Raises:
        DestinationError: the daemon refuses or does not answer.
    """
    if package.base.gguf is None or package.template:
        return []
    shown = daemon.show(package.place.display)
    text = "" if shown is None else shown.modelfile
    if "\nTEMPLATE " not in text or f"\nTEMPLATE {NO_TEMPLATE}" in text:
        return []
    warning = f"Ollama guessed a prompt template and uses it instead of the one in {package.base.gguf.name}"
    return [f"{warning}: answers may differ from training; --via store keeps the file's template"]


def kept_notes(package: Package, daemon: Daemon) -> list[str]:
    """Return a warning for each part of the base that the model should not have, but gets.

    ``/api/create`` ignores a field that is empty, so it can replace a part of the base, but not remove it.

    Raises:
        DestinationError: the daemon refuses or does not answer.
    """
    tag = package.base.tag
    shown = None if package.base.gguf is not None else daemon.show(tag)
    text = "" if shown is None else f"\n{shown.modelfile}"
    kept = [f"{name.upper()} of {tag}" for name in package.removed if f"\n{name.upper()} " in text]
    if f"\nTEMPLATE {NO_TEMPLATE}" in text:
        kept = [each for each in kept if not each.startswith("TEMPLATE ")]
    if package.template and not package.renderer and "\nRENDERER " in text:
        kept.append(f"RENDERER of {tag}, which is used instead of the TEMPLATE")
    way = "/api/create cannot remove it; --via pull and --via store can"
    return [f"the model keeps the {each}: {way}" for each in kept]


def _create_body(package: Package) -> dict[str, Any]:
    """Return the body of ``/api/create``; the model inherits each field that is left out."""
    fields: dict[str, Any] = {
        "from": parse_name(package.base.tag).display if package.base.gguf is None else "",
        "adapters": {_gguf_name(package.adapter.path): package.adapter.digest} if package.adapter else {},
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


def _gguf_name(path: Path) -> str:
    """Return a file name with ``.gguf``, by which the daemon recognises the format."""
    return path.name if path.name.endswith(".gguf") else f"{path.name}.gguf"


def _refuse_early(package: Package, daemon: Daemon) -> None:
    """Refuse before gigabytes of a GGUF base are sent to a daemon that is known to create no adapters."""
    if package.adapter is not None and package.base.gguf is not None and surely_refuses(daemon):
        raise AdapterRefusedError(
            "This Ollama no longer creates models with adapters; it still runs them.",
            where=daemon.address,
            hint="--via pull",
        )
