"""A daemon whose every answer has a text of the test's choice in it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from loopback_server import QuietHandler, listening


@contextlib.contextmanager
def running(text: str) -> Iterator[str]:
    """Run the daemon while the block runs, and provide its address."""
    with listening(_Handler) as server:
        server.text = text
        yield f"http://127.0.0.1:{server.server_port}"


class _Handler(QuietHandler):
    def do_HEAD(self) -> None:
        self._send(200, b"")

    def do_GET(self) -> None:
        text = self.server.text
        model = {
            "name": text,
            "model": text,
            "digest": text,
            "modified_at": "2026-01-01T00:00:00Z",
            "size": 1,
        }
        answers: dict[str, dict[str, Any]] = {
            "/api/version": {"version": f"0.33.0{text}"},
            "/api/tags": {"models": [model]},
            "/api/ps": {"models": [model]},
        }
        self._send(200, json.dumps(answers.get(self.path, {"error": text})).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        lines: list[dict[str, Any]] = [{"error": self.server.text}]
        if self.path in ("/api/create", "/api/pull"):
            lines = [{"status": self.server.text, "completed": 1, "total": 10**9}]
        elif self.path == "/api/show":
            info = {"general.architecture": "llama", self.server.text: self.server.text}
            details = {"format": self.server.text, "family": self.server.text}
            lines = [{"modelfile": self.server.text, "details": details, "model_info": info, "tensors": []}]
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        self._send(500 if "error" in lines[0] else 200, content)

    def do_DELETE(self) -> None:
        self._send(500, json.dumps({"error": self.server.text}).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)
