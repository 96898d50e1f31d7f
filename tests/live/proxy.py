"""A proxy before a real daemon.

It may refuse adapters as Ollama 0.34.1 does, or hide where the store is, and tells of every answer.
"""

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from loopback_server import QuietHandler, listening

VERSION = "0.34.2"
REFUSAL = {"error": "LoRA adapters are no longer supported"}


@contextlib.contextmanager
def before(
    address: str, *, refuses: bool = False, hides: str = "", answered: Callable[[], None] | None = None
) -> Iterator[str]:
    """Yield the address of a proxy before the daemon at `address`.

    Args:
        address: of the daemon.
        refuses: adapters, as 0.34.1 and later do; all else passes.
        hides: the path of its store, as if that were where nobody else may look.
        answered: called when the daemon has done what a request asked, before its answer is passed on.
    """
    fields = {
        "target": urlsplit(address).netloc,
        "refuses": refuses,
        "hides": hides,
        "answered": staticmethod(answered or int),
    }
    with listening(_Handler, **fields) as server:
        yield f"http://127.0.0.1:{server.server_port}"


class _Handler(QuietHandler):
    target: str
    refuses: bool
    hides: str
    answered: Callable[[], None]

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
        if self.refuses and self.path == "/api/version":
            return self._answer(200, json.dumps({"version": VERSION}).encode())
        if self.refuses and self.path == "/api/create" and json.loads(body).get("adapters"):
            return self._answer(400, json.dumps(REFUSAL).encode())
        connection = http.client.HTTPConnection(self.target, timeout=120)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            if self.hides:
                content = content.replace(self.hides.encode(), b"/nowhere")
            self.answered()
            return self._answer(answer.status, content)
        except (OSError, http.client.HTTPException):  # the daemon is gone: so is its answer
            self.close_connection = True
            return None
        finally:
            connection.close()

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
