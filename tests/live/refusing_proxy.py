"""A proxy before a real daemon that refuses adapters, as Ollama 0.34.1 and later do; all else passes."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

VERSION = "0.34.2"
REFUSAL = {"error": "LoRA adapters are no longer supported"}


@contextlib.contextmanager
def refusing(address: str) -> Iterator[str]:
    """Yield the address of a proxy before the daemon at `address`."""
    handler = type("Handler", (_Handler,), {"target": urlsplit(address).netloc})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    target: str

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def do_HEAD(self) -> None:
        self._pass()

    def do_DELETE(self) -> None:
        self._pass()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/version":
            return self._answer(200, json.dumps({"version": VERSION}).encode())
        if self.path == "/api/create" and json.loads(body).get("adapters"):
            return self._answer(400, json.dumps(REFUSAL).encode())
        connection = http.client.HTTPConnection(self.target, timeout=120)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return self._answer(answer.status, answer.read())
        finally:
            connection.close()

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
