"""A registry on loopback that serves one model once, and nothing else.

A daemon that creates no adapters still pulls them. It asks for a manifest and for the blobs it does not have;
it follows the ``Location`` of a blob's answer even where the status is 200, asks for ranges, and takes the
size from HEAD (``server/download.go`` of Ollama). The name has 128 random bits, so that nobody else on this
machine can ask for the model; nothing is ever written, and the registry is gone with its block.
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
from ollama_pack.ollama.manifest import MANIFEST_TYPE, Image, Layer
from ollama_pack.ollama.names import ModelName

HOST = "127.0.0.1"
RESPONSE_CHUNK = 1 << 20
ANSWER_SECONDS = 2
_RANGE_HEADER = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")


class UnreachableError(DestinationError):
    """A daemon cannot come back to this machine: it runs elsewhere, or in a container."""


def did_not_come(address: str) -> UnreachableError:
    """Return what to say of a daemon that never asked a registry which it was sent to."""
    return UnreachableError(
        "The daemon did not come for the model: it cannot reach this machine's loopback.",
        where=address,
        hint="if it runs in a container, run ollama-pack there, or give the container the host's network",
    )


@dataclass
class Registry:
    """A model that is being served.

    Attributes:
        name: under which a daemon may pull it.
        manifest: its bytes.
        blobs: digest → layer with its content or file; blobs of the base are not among them.
        asked: whether anybody has asked for the manifest.
        fetched: digests of the blobs that were asked for, whole or in part.
    """

    name: ModelName
    manifest: bytes
    blobs: Mapping[str, Layer]
    asked: bool = False
    fetched: set[str] = field(default_factory=set)

    @property
    def moved(self) -> int:
        """Return the bytes of the blobs that were fetched."""
        return sum(self.blobs[digest].size for digest in self.fetched)


@contextlib.contextmanager
def serving(image: Image) -> Iterator[Registry]:
    """Serve a model while the block runs: its manifest, and those of its blobs that are at hand."""
    own = {
        layer.digest: layer
        for layer in (*image.layers, image.config)
        if layer.content is not None or layer.file is not None
    }
    with listening(_PullHandler) as server:
        registry = Registry(server.name, image.manifest, own)
        server.registry = registry
        yield registry


def is_served(name: ModelName) -> bool:
    """Return whether a registry of this machine serves that very name now, not merely something at its port.

    One that is slow to answer counts as serving.
    """
    import httpx

    try:
        with httpx.Client(trust_env=False, timeout=ANSWER_SECONDS) as client:
            return client.options(f"http://{name.host}/v2/{name.namespace}/{name.model}/").is_success
    except httpx.TimeoutException:
        return True
    except httpx.HTTPError:
        return False


class Server(ThreadingHTTPServer):
    """A registry's server: on loopback, on a free port, under a name that nobody can guess.

    Attributes:
        name: of the one model it knows.
        registry: what its handlers serve, or fill.
    """

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((HOST, 0), handler)
        self.name = ModelName(f"{HOST}:{self.server_port}", f"p{secrets.token_hex(16)}", "model", "latest")
        self.registry: Any = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a daemon that hangs up: it does so once it knows a blob's location."""


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
    """What the handlers of every registry share."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms between its head and its content
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
        """Say nothing."""

    @property
    def below(self) -> str:
        """Return the path below this registry's one model, empty for any other."""
        name = self.server.name
        prefix = f"/v2/{name.namespace}/{name.model}/"
        return self.path.removeprefix(prefix) if self.path.startswith(prefix) else ""

    def do_OPTIONS(self) -> None:
        """Say whether this is the registry of that name: what `is_served` asks, and no daemon does."""
        name = self.server.name
        self.answer(204 if self.path == f"/v2/{name.namespace}/{name.model}/" else 404)

    def answer(self, status: int, headers: Mapping[str, str] | None = None, content: bytes = b"") -> None:
        """Send a whole answer; to HEAD its length alone."""
        self.head(status, headers or {}, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        """Send what comes before the content."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


class _PullHandler(Handler):
    """Serves a manifest and blobs, whole or in ranges, and takes nothing."""

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
    """Yield a part of a blob; it ends early where its file has become shorter, which the daemon notices."""
    if layer.content is not None:
        yield layer.content[start : start + count]
        return
    assert layer.file is not None, "a blob that is served has content or a file"
    with layer.file.open("rb") as source:
        source.seek(start)
        while count and (chunk := source.read(min(RESPONSE_CHUNK, count))):
            yield chunk
            count -= len(chunk)
