"""Runs an OCI registry on the loopback interface that serves one model, once.

A daemon that no longer creates models with adapters still pulls them. It requests the manifest and the blobs
that it does not have. It takes the size of a blob from HEAD, requests ranges, and follows the ``Location`` of
a response even with status 200 (``server/download.go`` of Ollama). The name of the model has 128 random bits,
so that no other user of this machine can pull it. The registry accepts no uploads, and ends with its ``with``
block.
"""

import contextlib
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ollama_pack.errors import DestinationError
from ollama_pack.http.exchange import ExchangeBounds
from ollama_pack.ollama.manifest import MANIFEST_TYPE, Image, Layer
from ollama_pack.ollama.names import ModelName

HOST = "127.0.0.1"
RESPONSE_CHUNK = 1 << 20
PROBE_SECONDS = 2
_RANGE_HEADER = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")


@dataclass
class Registry:
    """A model that is being served.

    Attributes:
        name: the name under which a daemon can pull the model.
        manifest: the bytes of the manifest.
        blobs: the blobs that can be served, by digest; the daemon has the blobs of the base already.
        asked: whether the manifest was requested.
        fetched: the digests of the blobs that were requested, whole or in part.
    """

    name: ModelName
    manifest: bytes
    blobs: Mapping[str, Layer]
    asked: bool = False
    fetched: set[str] = field(default_factory=set)

    @property
    def moved(self) -> int:
        """Return the size in bytes of all blobs that were fetched."""
        return sum(self.blobs[digest].size for digest in self.fetched)


@contextlib.contextmanager
def serving(image: Image) -> Iterator[Registry]:
    """Serve a model while the block runs: its manifest, and the blobs that have content or a file."""
    blobs = {
        layer.digest: layer
        for layer in (*image.layers, image.config)
        if layer.content is not None or layer.file is not None
    }
    with listening(_PullHandler) as server:
        registry = Registry(server.name, image.manifest, blobs)
        server.registry = registry
        yield registry


def is_served(name: ModelName) -> bool:
    """Return whether a registry of `serving` serves the model `name` at this moment.

    Another program at the same port does not count. A registry that does not answer within `PROBE_SECONDS`
    counts as serving.
    """
    import httpx

    bounds = ExchangeBounds()
    try:
        with (
            httpx.Client(trust_env=False, timeout=PROBE_SECONDS, event_hooks=bounds.hooks()) as client,
            bounds.within(2 * PROBE_SECONDS, name.host),
        ):
            return client.options(f"http://{name.host}/v2/{name.namespace}/{name.model}/").is_success
    except (httpx.TimeoutException, DestinationError):
        return True
    except httpx.HTTPError:
        return False


class Server(ThreadingHTTPServer):
    """The HTTP server of a registry, on a free port of the loopback interface.

    Attributes:
        name: the name of the one model that it serves; its namespace is random, so that nobody can guess it.
        registry: the state that the handlers read or change.
    """

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((HOST, 0), handler)
        self.name = ModelName(f"{HOST}:{self.server_port}", f"p{secrets.token_hex(16)}", "model", "latest")
        self.registry: Any = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a closed connection: a daemon closes it when it knows the location of a blob."""


@contextlib.contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[Server]:
    """Run a registry while the block runs."""
    server = Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """The base class of the request handlers of both registries."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # Otherwise every response waits 40 ms between its headers and its content.
    )
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
        """Log nothing."""

    @property
    def below(self) -> str:
        """Return the path of the request below the registry's model, or an empty string for another model."""
        name = self.server.name
        prefix = f"/v2/{name.namespace}/{name.model}/"
        return self.path.removeprefix(prefix) if self.path.startswith(prefix) else ""

    def do_OPTIONS(self) -> None:
        """Answer `is_served`, which alone sends this: 204 if this registry serves the model, else 404."""
        name = self.server.name
        self.answer(204 if self.path == f"/v2/{name.namespace}/{name.model}/" else 404)

    def answer(self, status: int, headers: Mapping[str, str] | None = None, content: bytes = b"") -> None:
        """Send a whole response; a response to HEAD has no content."""
        self.head(status, headers or {}, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        """Send the status and the headers of a response with `length` bytes of content."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


class _PullHandler(Handler):
    """Serves the manifest, and the blobs whole or in ranges."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry: Registry = self.server.registry
        kind, _, which = self.below.partition("/")
        if (kind, which) == ("manifests", registry.name.tag):
            registry.asked = True
            self.answer(200, {"Content-Type": MANIFEST_TYPE}, registry.manifest)
        elif kind == "blobs" and which in registry.blobs:
            self._blob(registry, registry.blobs[which])
        else:
            self.answer(404)

    def _blob(self, registry: Registry, layer: Layer) -> None:
        """Send a blob, or the range of it that the request asks for."""
        start, end = 0, layer.size - 1
        match = _RANGE_HEADER.fullmatch(self.headers.get("Range", ""))
        if match:
            start, end = int(match[1]), min(int(match[2] or end), end)
            if start > end:
                return self.answer(416, {"Content-Range": f"bytes */{layer.size}"})
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "Docker-Content-Digest": layer.digest,
            "Location": f"http://{registry.name.host}{self.path}",
        }
        if match:
            headers["Content-Range"] = f"bytes {start}-{end}/{layer.size}"
        self.head(206 if match else 200, headers, end + 1 - start)
        if self.command != "HEAD":
            registry.fetched.add(layer.digest)
            for piece in _blob_pieces(layer, start, end + 1 - start):
                self.wfile.write(piece)
        return None


def _blob_pieces(layer: Layer, start: int, count: int) -> Iterator[bytes]:
    """Yield `count` bytes of a blob from `start` on.

    If the file has become shorter, fewer bytes are sent, and the daemon reports the broken download.
    """
    if layer.content is not None:
        yield layer.content[start : start + count]
        return
    assert layer.file is not None, "a served blob has content or a file"
    with layer.file.open("rb") as source:
        source.seek(start)
        while count and (chunk := source.read(min(RESPONSE_CHUNK, count))):
            yield chunk
            count -= len(chunk)
