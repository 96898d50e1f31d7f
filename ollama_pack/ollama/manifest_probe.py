"""Reads the manifest of a daemon's model by letting the daemon push it to a fake registry.

No API returns the manifest of a model, and the store of a daemon that runs as another user is often not
readable. But a daemon pushes a model to any registry, and uploads only the blobs that the registry does not
have (``server/upload.go`` of Ollama). So the model is pushed twice to a registry on loopback. The first time
the registry claims to have every blob, and receives the manifest alone. The last time it asks for the two
small blobs whose content matters, the parameters and the configuration. If the manifest is a list that only
names its children, they are asked for in between. See "A daemon tells what a model consists of by pushing it"
in docs/decisions.md.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.api_errors import did_not_come
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.loopback_registry import Handler, Server, listening
from ollama_pack.ollama.manifest import PARAMS_TYPE, BaseImage, Layer, inherited, parse_manifest
from ollama_pack.ollama.manifest_list import gguf_children
from ollama_pack.ollama.names import parse_name
from ollama_pack.untrusted import parse_object

UPLOADS = "blobs/uploads/"
LARGEST_MANIFEST = 1 << 20
"""Largest size in bytes of a manifest, parameters or configuration; real ones have a few thousand."""


@dataclass
class _PushedModel:
    """The parts of a model that a daemon has pushed.

    Attributes:
        wanted: the digests of the blobs that the registry asks for.
        manifests: the bytes of the manifests, by the tag or the digest under which the daemon sent them.
        blobs: the bytes of the wanted blobs, by digest.
        pieces: the bytes received so far, by upload.
        asked: whether the daemon sent any request.
    """

    wanted: frozenset[str] = frozenset()
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    pieces: dict[str, bytes] = field(default_factory=dict)
    asked: bool = False


def probe_manifest(daemon: Daemon, tag: str) -> BaseImage:
    """Return the layers and the configuration of a daemon's model; a parameters layer has its content.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon has no such model, or does not push it.
    """
    where = f"{daemon.address}: {tag}"
    with listening(_PushHandler) as server, _copied(daemon, tag, server.name.display):
        config, layers = parse_manifest(_pushed_manifest(daemon, server, where), where=where)
        small = [
            layer for layer in layers if layer.media_type == PARAMS_TYPE and layer.size <= LARGEST_MANIFEST
        ]
        pushed = _push(daemon, server, (layer.digest for layer in (*small, config)))
    name = parse_name(tag).display
    return BaseImage(
        tuple(replace(inherited(layer, name, pushed.blobs.get(layer.digest)), file=None) for layer in layers),
        _pushed_config(pushed, config, daemon, tag),
    )


def _push(daemon: Daemon, server: Server, wanted: Iterable[str]) -> _PushedModel:
    """Have the daemon push its model, and return what it sent.

    Args:
        daemon: the daemon; it has the model under the name of the registry.
        server: the registry.
        wanted: the digests of the blobs that the registry asks for.

    Raises:
        UnreachableError: the daemon cannot connect to this machine.
        DestinationError: the daemon does not push the model.
    """
    server.registry = pushed = _PushedModel(frozenset(wanted))
    try:
        daemon.push(server.name.display)
    except DestinationError as error:
        if pushed.asked:
            raise
        raise did_not_come(daemon.address) from error
    return pushed


def _pushed_manifest(daemon: Daemon, server: Server, where: str) -> bytes:
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


@contextlib.contextmanager
def _copied(daemon: Daemon, tag: str, name: str) -> Iterator[None]:
    """Copy a model to `name` while the block runs: a push goes to the registry in the name."""
    try:
        daemon.copy(tag, name)  # A full disk makes it fail, and leaves an empty manifest.
        yield
    finally:
        with contextlib.suppress(DestinationError):
            erase_model(daemon, name)


def _pushed_config(pushed: _PushedModel, config: Layer, daemon: Daemon, tag: str) -> dict[str, Any]:
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


class _PushHandler(Handler):
    """Claims to have every blob except the wanted ones, so that the daemon uploads only these."""

    def do_HEAD(self) -> None:
        pushed: _PushedModel = self.server.registry
        pushed.asked = True
        kind, _, digest = self.below.partition("/")
        self.answer(200 if kind == "blobs" and digest not in pushed.wanted else 404)

    def do_POST(self) -> None:
        pushed: _PushedModel = self.server.registry
        if self.below.partition("?")[0] != UPLOADS:
            return self.answer(404)
        self._body()
        upload = f"{UPLOADS}{secrets.token_hex(8)}"
        pushed.pieces[upload] = b""
        return self._continue_at(upload)

    def do_PATCH(self) -> None:
        pushed: _PushedModel = self.server.registry
        upload = self.below.partition("?")[0]
        if upload not in pushed.pieces:
            return self.answer(404)
        pushed.pieces[upload] += self._body()
        return self._continue_at(upload)

    def do_PUT(self) -> None:
        pushed: _PushedModel = self.server.registry
        if self.below.startswith("manifests/"):
            pushed.manifests[self.below.partition("/")[2]] = self._body()
            return self.answer(201)
        upload = self.below.partition("?")[0]
        if upload not in pushed.pieces:
            return self.answer(404)
        content = pushed.pieces.pop(upload) + self._body()
        pushed.blobs[f"sha256:{hashlib.sha256(content).hexdigest()}"] = content
        return self.answer(201)

    def _continue_at(self, upload: str) -> None:
        """Tell the daemon where to send the next part of an upload."""
        name = self.server.name
        self.answer(202, {"Location": f"http://{name.host}/v2/{name.namespace}/{name.model}/{upload}"})

    def _body(self) -> bytes:
        """Return the content of the request, `LARGEST_MANIFEST` bytes at most."""
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(min(length, LARGEST_MANIFEST))
