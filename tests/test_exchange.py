"""Peers that drip, inflate or never end: an exchange has an end in time and in bytes."""

import contextlib
import gzip
import socket
import ssl
import threading
import time

import httpx
import pytest

from ollama_pack.errors import DestinationError
from ollama_pack.http import exchange
from ollama_pack.http.exchange import ExchangeBounds

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def peer(*pieces, every=0.05, after=b""):
    """Serve one connection: the pieces at once, then one byte of `after` at a time, again and again."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    for piece in pieces:
                        connection.sendall(piece)
                    while after:
                        connection.sendall(after)
                        time.sleep(every)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    thread.join(5)


def ask(url, *, seconds=0.5, lines=False, timeout=30.0):
    bounds = ExchangeBounds()
    client = httpx.Client(event_hooks=bounds.hooks(), timeout=timeout, trust_env=False)
    with client, bounds.within(seconds, url, lines=lines):
        return client.get(url).content


@pytest.mark.parametrize(
    ("pieces", "after"),
    [
        pytest.param((), b"H", id="a status line that never ends"),
        pytest.param((HEAD, b"X-A: "), b"a", id="a header that never ends"),
        pytest.param((HEAD, b"Content-Length: 100000\r\n\r\n"), b"a", id="a body with a length"),
        pytest.param((HEAD, b"\r\n"), b"a", id="a body that ends with the connection"),
        pytest.param((HEAD, b"Transfer-Encoding: chunked\r\n\r\n"), b"1\r\na\r\n", id="chunks"),
    ],
)
def test_a_peer_that_drips_is_cut(pieces, after):
    """However little of an answer comes at a time, the exchange ends when its time is over."""
    start = time.monotonic()
    with (
        peer(*pieces, after=after) as (url, _),
        pytest.raises(DestinationError, match=r"after 0\.5 s") as caught,
    ):
        ask(url)
    assert 0.4 < time.monotonic() - start < 5
    assert (caught.value.code, caught.value.where) == ("too-slow", url)


def test_a_peer_that_never_speaks_tls_is_left():
    """A handshake that is never answered ends by the timeout of the connection."""
    bounds = ExchangeBounds()
    client = httpx.Client(event_hooks=bounds.hooks(), timeout=0.3, verify=ssl.create_default_context())
    refused = pytest.raises((httpx.HTTPError, DestinationError))
    with peer(after=b"") as (url, _), client, refused, bounds.within(5, url):
        client.get(url.replace("http:", "https:"))


def test_a_whole_answer_is_not_disturbed():
    """What is complete in time is as it was sent, and was asked for uncompressed."""
    with peer(HEAD, b"Content-Length: 2\r\n\r\nok") as (url, asked):
        assert ask(url) == b"ok"
    assert b"accept-encoding: identity\r\n" in asked[0].lower()


@pytest.mark.parametrize("encoding", [b"gzip", b"gzip, gzip", b"deflate", b"br", b"zstd"])
def test_a_compressed_answer_is_refused_unread(encoding):
    """A bomb is not inflated: it was asked for as it is."""
    bomb = gzip.compress(gzip.compress(bytes(1 << 20)))
    head = HEAD + b"Content-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with peer(head, bomb) as (url, _), pytest.raises(DestinationError, match="compressed"):
        ask(url, seconds=5)


@pytest.mark.parametrize(
    ("lines", "content", "message"),
    [
        pytest.param(False, b"a" * 1001, "more than 1000 bytes.", id="an answer"),
        pytest.param(True, b"ab\n" * 30 + b"a" * 101, "more than 100 bytes in one line", id="a line"),
        pytest.param(True, b"a\n" * 2001, "more than 4000 bytes.", id="many lines"),
    ],
)
def test_what_streams_is_counted(lines, content, message, monkeypatch):
    """An answer and a line of one have a bound, whatever length was announced."""
    for name, most in (("ANSWER_BYTES", 1000), ("LINE_BYTES", 100), ("STREAM_BYTES", 4000)):
        monkeypatch.setattr(exchange, name, most)
    with peer(HEAD, b"\r\n", content) as (url, _), pytest.raises(DestinationError, match=message) as caught:
        ask(url, seconds=5, lines=lines)
    assert caught.value.code == "answer-too-large"


def test_an_answer_of_the_largest_size_passes(monkeypatch):
    """The bound itself is allowed."""
    monkeypatch.setattr(exchange, "ANSWER_BYTES", 1000)
    with peer(HEAD, b"\r\n", b"a" * 1000) as (url, _):
        assert len(ask(url, seconds=5)) == 1000


def test_twice_the_answer_is_twice_the_steps():
    """Each piece of a stream is counted once."""
    counts = []
    for pieces in (500, 1000):
        seen = []
        stream = exchange._counted_stream((seen.append(1) or b"a\n" for _ in range(pieces)), "x", lines=True)
        assert sum(map(len, stream)) == 2 * pieces
        counts.append(len(seen))
    assert counts == [500, 1000]
