"""A web of one machine: what lies at which path, and what was asked for."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from loopback_server import QuietHandler, listening


@dataclass
class FakeWeb:
    """A server.

    Attributes:
        host: with its port.
        files: path → content.
        answers: path → status and headers, of what has no content.
        asked: path, range and authorisation of every request.
        ranges: whether it can send a part.
        encodings: how the content was to come.
        sent: bytes of content, of all answers.
        headers: path → further headers of what is there.
        token: what a client must show, if anything; without it, nothing is there.
    """

    host: str
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    ranges: bool = True
    encodings: set[str] = field(default_factory=set)
    sent: int = 0
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    token: str = ""

    @property
    def address(self) -> str:
        """Return its address."""
        return f"http://{self.host}"

    def model(self, name: str, content: bytes, *, size: int = 0, tag: str = "latest") -> None:
        """Put a model there, as a registry has it."""
        digest = f"sha256:{'a' * 64}"
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest}
        manifest = {"schemaVersion": 2, "layers": [{**layer, "size": size or len(content)}]}
        self.files[f"/v2/{name}/manifests/{tag}"] = json.dumps(manifest).encode()
        self.files[f"/v2/{name}/blobs/{digest}"] = content


@contextlib.contextmanager
def running() -> Iterator[FakeWeb]:
    """Run a web while the block runs."""
    with listening(_Handler) as server:
        server.web = FakeWeb(f"127.0.0.1:{server.server_port}")
        yield server.web


class _Handler(QuietHandler):
    def do_GET(self) -> None:
        web: FakeWeb = self.server.web
        wanted = self.headers.get("Range", "")
        web.encodings.add(self.headers.get("Accept-Encoding", ""))
        web.asked.append((self.path, wanted, self.headers.get("Authorization", "")))
        if web.token and self.headers.get("Authorization") != f"Bearer {web.token}":
            return self._send(401, {"X-Error-Code": "RepoNotFound"}, b"")
        if self.path in web.answers:
            status, headers = web.answers[self.path]
            return self._send(status, headers, b"")
        if self.path not in web.files:
            return self._send(404, {}, b"")
        content, match = web.files[self.path], re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        if match is None or not web.ranges:
            return self._send(200, web.headers.get(self.path, {}), content)
        return self._send(206, {}, content[int(match[1]) : int(match[2]) + 1])

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        with contextlib.suppress(OSError):  # who has enough hangs up
            self.wfile.write(content)
        self.server.web.sent += len(content)
