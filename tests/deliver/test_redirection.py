"""A daemon that sends requests on gets no answer, and a key goes to no other host than its own."""

import contextlib
import http.server
import os
import threading
from pathlib import Path

import pytest

from ollama_pack.errors import DestinationError, UsageError
from ollama_pack.http.exchange import ExchangeBounds
from ollama_pack.ollama.clients import make_clients
from ollama_pack.ollama.daemon import Daemon

SENDS_ON = (301, 302, 303, 307, 308)


@contextlib.contextmanager
def listening(location=""):
    """Run a server that writes down what it is sent, and sends every request on if there is a location."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        status = 307

        def log_message(self, *words):
            """Say nothing."""

        def _take(self):
            length = int(self.headers.get("Content-Length") or 0)
            seen.append((self.command, self.path, self.rfile.read(length), dict(self.headers)))
            self.send_response(type(self).status if location else 200)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"{}")

        do_GET = do_POST = do_HEAD = do_DELETE = _take  # noqa: N815 — names of http.server

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen, Handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


REQUESTS = {
    "version": lambda daemon: daemon.version(),
    "list": lambda daemon: daemon.models(),
    "show": lambda daemon: daemon.show("ada"),
    "has blob": lambda daemon: daemon.has_blob(f"sha256:{'0' * 64}"),
    "upload": lambda daemon: daemon.upload(Path(__file__), f"sha256:{'0' * 64}"),
    "create": lambda daemon: daemon.create("ada", {"from": "tiny", "system": "a secret of the adapter"}),
    "create with a renderer": lambda daemon: daemon.create("ada", {"from": "tiny", "renderer": "x"}),
    "pull": lambda daemon: daemon.pull("ada"),
    "push": lambda daemon: daemon.push("ada"),
    "copy": lambda daemon: daemon.copy("ada", "babbage"),
    "delete": lambda daemon: daemon.delete("ada"),
    "answer": lambda daemon: daemon.answer("ada", "a secret", 1),
    "loaded": lambda daemon: daemon.loaded(),
    "unload": lambda daemon: daemon.unload("ada"),
}


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=list(REQUESTS))
def test_no_request_is_sent_on(request_of):
    """Whatever is asked, the other host sees nothing of it, and the message has no key of its address."""
    with (
        listening() as (there, seen, _),
        listening(f"{there}/x?k=s3cret") as (here, _, handler),
        Daemon(here) as daemon,
    ):
        for handler.status in SENDS_ON:
            with pytest.raises(DestinationError, match="redirects requests") as caught:
                request_of(daemon)
    assert (seen, caught.value.code) == ([], "redirection")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("https://example.com", "OLLAMA_HOST=https://example.com, if that is your daemon"),
        ("https://u:s3cret@example.com/", "OLLAMA_HOST=https://example.com, if that is your daemon"),
        ("http://h;reboot", "OLLAMA_HOST='http://h;reboot', if that is your daemon"),
        ("/elsewhere", "set OLLAMA_HOST=HOST:PORT to the address of the daemon itself"),
        ("http://[", "set OLLAMA_HOST=HOST:PORT to the address of the daemon itself"),
    ],
)
def test_the_other_address_is_told(location, hint):
    """The hint has the address that the server names, quoted for a shell, and nothing secret of it."""
    with listening(location) as (here, _, _), Daemon(here) as daemon:
        with pytest.raises(DestinationError) as caught:
            daemon.version()
        assert caught.value.hint == hint


@pytest.mark.parametrize("key", ["key-of-ollama-com", "key with\na line end", "schlüssel"])
def test_the_key_of_ollama_com_stays_here(key, monkeypatch):
    """OLLAMA_API_KEY is sent to no daemon but ollama.com, and one that is no key disturbs no other daemon."""
    monkeypatch.setenv("OLLAMA_API_KEY", key)
    with listening() as (here, seen, _), Daemon(here) as daemon:
        for request_of in (REQUESTS["copy"], REQUESTS["delete"], REQUESTS["has blob"]):
            request_of(daemon)
    assert len(seen) == 3
    assert not [headers for *_, headers in seen if "Authorization" in headers]


def sent_to(address):
    """Return the Authorization of the requests of both clients of an address, which are never sent."""
    import httpx

    plain, client = make_clients(address, ExchangeBounds())
    found = []
    for each in (plain, client._client):
        request = each.build_request("POST", "/api/show", headers={"Authorization": "Bearer of-somebody"})
        auth = each._build_request_auth(request)
        found.append(next(auth.sync_auth_flow(request)).headers.get("Authorization"))
        assert isinstance(each, httpx.Client)
        assert not each.follow_redirects
    return found


def test_the_host_that_the_key_is_meant_for(monkeypatch):
    """The key goes to ollama.com by HTTPS, and neither to plain HTTP nor to a host with a similar name."""
    monkeypatch.setenv("OLLAMA_API_KEY", " key-of-ollama-com\n")
    assert sent_to("https://ollama.com:443") == ["Bearer key-of-ollama-com"] * 2
    for other in (
        "http://ollama.com:80",
        "https://ollama.com.example.org:443",
        "https://example.com/ollama.com",
    ):
        assert sent_to(other) == [None, None]
    monkeypatch.setenv("OLLAMA_API_KEY", "key\nof")
    with pytest.raises(UsageError, match="OLLAMA_API_KEY"):
        make_clients("https://ollama.com:443", ExchangeBounds())


def test_a_netrc_is_not_read(monkeypatch, tmp_path):
    """What a .netrc says of the daemon's host is sent to nobody."""
    (tmp_path / ".netrc").write_text("default login ada password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert os.environ["NETRC"]
    assert sent_to("http://example.com:80") == [None, None]


def test_a_host_that_no_client_takes():
    """What only the library for HTTP refuses as a host is an error of OLLAMA_HOST, not of a proxy."""
    with pytest.raises(UsageError, match="OLLAMA_HOST is not an address"):
        make_clients("http://☃:11434", ExchangeBounds())
