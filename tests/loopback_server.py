"""A server of a test, on a free port of the loopback interface: it says nothing, and ends with its block."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """Logs nothing."""

    server: Any

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that whoever asked has closed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def listening(handler: type[BaseHTTPRequestHandler], **fields: Any) -> Iterator[Any]:
    """Run a server while the block runs.

    Args:
        handler: what answers its connections.
        fields: attributes of the handler, for this server alone.
    """
    server = _Server(("127.0.0.1", 0), type("Bound", (handler,), fields))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
