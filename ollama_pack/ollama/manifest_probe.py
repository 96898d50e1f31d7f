"""What a daemon's model consists of, learned from the daemon itself.

No API tells a model's manifest, and the store of a daemon that runs as another user is often closed. But a
daemon pushes a model to any registry, and a registry that has every blob already is sent the manifest alone.
So the model is pushed twice to a registry on loopback: the first time it has everything and learns the
manifest, the second time it lacks the two small blobs whose content matters, parameters and configuration.
"""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.loopback_registry import Handler, did_not_come, listening
from ollama_pack.ollama.manifest import PARAMS_TYPE, BaseImage, Layer, inherited, parse_manifest
from ollama_pack.ollama.names import parse_name

UPLOADS = "blobs/uploads/"
LARGEST_MANIFEST = 1 << 20
"""Bytes of a parameters or configuration blob; the largest ever seen have a few thousand."""


@dataclass
class _PushedModel:
    """What a daemon has pushed.

    Attributes:
        wanted: digests this registry pretends to lack.
        manifest: its bytes, once it came.
        blobs: digest → bytes of those that were wanted.
        pieces: upload → what came of it so far.
        asked: whether anything came at all.
    """

    wanted: frozenset[str] = frozenset()
    manifest: bytes = b""
    blobs: dict[str, bytes] = field(default_factory=dict)
    pieces: dict[str, bytes] = field(default_factory=dict)
    asked: bool = False


def probe_manifest(daemon: Daemon, tag: str) -> BaseImage:
    """Return the layers and the configuration of a daemon's model; parameters come with their content.

    Raises:
        UnreachableError: the daemon cannot reach this machine.
        DestinationError: the daemon has no such model, or does not push it.
    """
    with listening(_PushHandler) as server:
        heard = _PushedModel()
        server.registry = heard
        with _copied(daemon, tag, server.name.display):
            try:
                daemon.push(server.name.display)
            except DestinationError as error:
                if heard.asked:
                    raise
                raise did_not_come(daemon.address) from error
            config, layers = parse_manifest(heard.manifest, where=f"{daemon.address}: {tag}")
            small = [
                layer
                for layer in layers
                if layer.media_type == PARAMS_TYPE and layer.size <= LARGEST_MANIFEST
            ]
            server.registry = heard = _PushedModel(frozenset(layer.digest for layer in (*small, config)))
            daemon.push(server.name.display)
    name = parse_name(tag).display
    return BaseImage(
        tuple(replace(inherited(layer, name, heard.blobs.get(layer.digest)), file=None) for layer in layers),
        _pushed_config(heard, config, daemon, tag),
    )


@contextlib.contextmanager
def _copied(daemon: Daemon, tag: str, name: str) -> Iterator[None]:
    """Give a model a second name while the block runs: a push goes to the registry in the name."""
    daemon.copy(tag, name)
    try:
        yield
    finally:
        with contextlib.suppress(DestinationError):
            daemon.delete(name)


def _pushed_config(heard: _PushedModel, config: Layer, daemon: Daemon, tag: str) -> dict[str, Any]:
    try:
        found = json.loads(heard.blobs[config.digest])
    except (KeyError, ValueError, RecursionError) as error:
        raise DestinationError(
            f"The daemon did not tell the configuration of {tag}.", where=daemon.address
        ) from error
    if not isinstance(found, dict):
        raise DestinationError(f"The configuration of {tag} is none.", where=daemon.address)
    return found


class _PushHandler(Handler):
    """A registry that has every blob but those it wants to see."""

    def do_HEAD(self) -> None:
        heard: _PushedModel = self.server.registry
        heard.asked = True
        kind, _, digest = self.below.partition("/")
        self.answer(200 if kind == "blobs" and digest not in heard.wanted else 404)

    def do_POST(self) -> None:
        heard: _PushedModel = self.server.registry
        if self.below.partition("?")[0] != UPLOADS:
            return self.answer(404)
        self._body()
        upload = f"{UPLOADS}{secrets.token_hex(8)}"
        heard.pieces[upload] = b""
        return self._go_on(upload)

    def do_PATCH(self) -> None:
        heard: _PushedModel = self.server.registry
        upload = self.below.partition("?")[0]
        if upload not in heard.pieces:
            return self.answer(404)
        heard.pieces[upload] += self._body()
        return self._go_on(upload)

    def do_PUT(self) -> None:
        heard: _PushedModel = self.server.registry
        if self.below.startswith("manifests/"):
            heard.manifest = self._body()
            return self.answer(201)
        upload = self.below.partition("?")[0]
        if upload not in heard.pieces:
            return self.answer(404)
        content = heard.pieces.pop(upload) + self._body()
        heard.blobs[f"sha256:{hashlib.sha256(content).hexdigest()}"] = content
        return self.answer(201)

    def _go_on(self, upload: str) -> None:
        name = self.server.name
        self.answer(202, {"Location": f"http://{name.host}/v2/{name.namespace}/{name.model}/{upload}"})

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(min(length, LARGEST_MANIFEST))
