"""A daemon that never ends an answer: every request of the client has an end in time."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ollama_pack.errors import DestinationError
from ollama_pack.http import fetch
from ollama_pack.ollama import clients, daemon
from ollama_pack.ollama.daemon import Daemon

REQUESTS = {
    "version": lambda it, _: it.version(),
    "models": lambda it, _: it.models(),
    "show": lambda it, _: it.show("ada"),
    "has_blob": lambda it, _: it.has_blob("sha256:" + "0" * 64),
    "upload": lambda it, path: it.upload(path, "sha256:" + "0" * 64),
    "create": lambda it, _: it.create("ada", {"from": "base"}),
    "create with a renderer": lambda it, _: it.create("ada", {"from": "base", "renderer": "x"}),
    "pull": lambda it, _: it.pull("ada"),
    "push": lambda it, _: it.push("ada"),
    "copy": lambda it, _: it.copy("ada", "bob"),
    "delete": lambda it, _: it.delete("ada"),
    "answer": lambda it, _: it.answer("ada", "Hi", 1),
    "loaded": lambda it, _: it.loaded(),
    "unload": lambda it, _: it.unload("ada"),
}


class Dripping(BaseHTTPRequestHandler):
    """Answers every request with a body that grows by a byte, and never ends."""

    def drip(self):
        """Send a line or a blank every now and then."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        streams = "create" in self.path or "pull" in self.path or "push" in self.path
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            if self.command != "HEAD":
                self.wfile.write(b"x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(200):
                line = json.dumps({"status": "working"}).encode() + b"\n" if streams else b" "
                chunk = b"%x\r\n%s\r\n" % (len(line), line)
                self.wfile.write(b"x" if self.command == "HEAD" else chunk)
                time.sleep(0.02)

    do_GET = do_POST = do_HEAD = do_DELETE = drip  # noqa: N815 — the base class's names

    def log_message(self, *args):
        """Log nothing."""


@pytest.fixture(scope="module")
def dripping():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_every_request_has_an_end(request_, dripping, monkeypatch, tmp_path):
    """Whatever is asked of a daemon that drips, the wait ends with the time that was meant for it."""
    for name in ("SILENCE_SECONDS", "STREAM_SECONDS", "CONNECT_SECONDS"):
        monkeypatch.setattr(daemon, name, 0.3)
    monkeypatch.setattr(Daemon.explained.__wrapped__, "__defaults__", (0.3,))
    (tmp_path / "blob").write_bytes(b"blob")
    with Daemon(dripping) as asked, pytest.raises(DestinationError, match="was not complete") as caught:
        request_(asked, tmp_path / "blob")
    assert (caught.value.code, caught.value.where) == ("too-slow", dripping)


def test_the_times_are_those_of_their_kind():
    """A question has minutes, a stream a day; each is more than one silence may take."""
    assert clients.CONNECT_SECONDS < clients.ANSWER_SECONDS < clients.SILENCE_SECONDS < clients.STREAM_SECONDS


def test_a_document_has_an_end(dripping, monkeypatch):
    """A server on the web that drips is cut too."""
    monkeypatch.setattr(fetch, "EXCHANGE_SECONDS", 0.3)
    with pytest.raises(DestinationError, match="was not complete"):
        fetch.read_document(f"{dripping}/config.json", {})
