"""Reads the manifest of a daemon's model by letting the daemon push it to a fake registry.

No API returns the manifest of a model, and the store of a daemon that runs as another user is often not
readable. But a daemon pushes a model to any registry, and uploads only the blobs that the registry does not
have (``server/upload.go`` of Ollama). So the model is pushed twice to a registry on loopback. The first time
the registry claims to have every blob, and receives the manifest alone. The last time it asks for the two
small blobs whose content matters, the parameters and the configuration. If the manifest is a list that only
names its children, they are asked for in between. See "A daemon tells what a model consists of by pushing it"
in docs/decisions.md.
"""

from collections.abc import Iterable
from typing import Any

from ollama_pack.errors import DestinationError
from ollama_pack.formats.untrusted_json import parse_object
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.loopback_registry import Server
from ollama_pack.ollama.manifest import PARAMS_TYPE, BaseImage, Layer, inherited, parse_manifest
from ollama_pack.ollama.manifest_list import gguf_children
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.push_registry import LARGEST_MANIFEST, PushedModel, awaiting_push, push_into


def probe_manifest(daemon: Daemon, tag: str) -> BaseImage:
    """Return the layers and the configuration of a daemon's model; a parameters layer has its content.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon has no such model, or does not push it.
    """
    where = f"{daemon.address}: {tag}"
    with awaiting_push(daemon, tag) as server:
        config, layers = parse_manifest(pushed_manifest(daemon, server, where), where=where)
        small = [
            layer for layer in layers if layer.media_type == PARAMS_TYPE and layer.size <= LARGEST_MANIFEST
        ]
        pushed = _push(daemon, server, (layer.digest for layer in (*small, config)))
    name = parse_name(tag).display
    return BaseImage(
        tuple(inherited(layer, name, pushed.blobs.get(layer.digest))._replace(file=None) for layer in layers),
        _pushed_config(pushed, config, daemon, tag),
    )


def _push(daemon: Daemon, server: Server, wanted: Iterable[str]) -> PushedModel:
    """Have the daemon push its model to a registry that asks for small blobs, and return what it sent."""
    return push_into(daemon, server, PushedModel(dict.fromkeys(wanted, LARGEST_MANIFEST)))


def pushed_manifest(daemon: Daemon, server: Server, where: str) -> bytes:
    """Return the manifest of the daemon's model; of a list of manifests, the one for llama.cpp.

    A child that the list only names is pushed as a manifest of its own, or else as a blob that is asked for.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon does not push the manifest, or the list has none for GGUF.
    """
    pushed = _push(daemon, server, ())
    content = pushed.manifests.get(server.name.tag, b"")
    children = gguf_children(content, where=where)
    if children is None:
        return content
    arrived = pushed.manifests | {child.digest: child.content for child in children if child.content}
    if children[0].digest not in arrived:
        arrived |= _push(daemon, server, (child.digest for child in children)).blobs
    found = next((arrived[child.digest] for child in children if child.digest in arrived), None)
    if found is None:
        raise DestinationError("The daemon did not push the manifest for the GGUF format.", where=where)
    return found


def _pushed_config(pushed: PushedModel, config: Layer, daemon: Daemon, tag: str) -> dict[str, Any]:
    """Return the configuration that the daemon pushed.

    Raises:
        DestinationError: the daemon did not push it, or it is not a JSON object.
    """
    try:
        return parse_object(pushed.blobs[config.digest])
    except KeyError as error:
        raise DestinationError(
            f"The daemon did not push the configuration of {tag}.", where=daemon.address
        ) from error
    except ValueError as error:
        raise DestinationError(
            f"The configuration of {tag} is not a JSON object.", where=daemon.address
        ) from error
