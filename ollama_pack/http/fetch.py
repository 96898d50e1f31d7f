"""Fetches JSON documents and parts of large files by HTTP; callers do so only if the user asked for it.

The number of bytes that are read is bounded, whatever the server sends. Redirections are followed; httpx
sends the ``Authorization`` header only to the host it is meant for. Messages contain addresses and the words
of httpx only as `ollama_pack/shown.py` has them.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_pack.errors import DestinationError, InputError, UsageError
from ollama_pack.formats.untrusted_json import ShapeError, parse_object
from ollama_pack.http.exchange import ExchangeBounds
from ollama_pack.http.loopback import is_loopback
from ollama_pack.shown import PROXY_VARIABLES, reason_of, shown_address

SECONDS = 30.0
"""Time limit for a connection, and for each read."""

EXCHANGE_SECONDS = 300.0
"""Time limit for a whole exchange."""

LARGEST_DOCUMENT = 4 << 20
"""Most bytes of a JSON document."""

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

MISSING = (404, 410)
"""HTTP status codes for an address at which there is nothing."""

CLOSED = (401, 403)
"""HTTP status codes for a document that is not public."""


def read_document(url: str, headers: Mapping[str, str], *, where: str = "") -> dict[str, Any] | None:
    """Return the JSON object at a URL, or None if there is nothing at that address.

    Args:
        url: the URL.
        headers: the headers of the request.
        where: the URL as a message may show it, if that is not the URL itself.

    Raises:
        InputError: the document is not a JSON object, or it is too large.
        DestinationError: the server does not answer, or it refuses.
    """
    where = where or url
    content = read_range(url, LARGEST_DOCUMENT + 1, headers, where=where)
    if content is None:
        return None
    if len(content) > LARGEST_DOCUMENT:
        raise InputError(f"The document has more than {LARGEST_DOCUMENT} bytes.", where=where)
    try:
        return parse_object(content)
    except ShapeError as error:
        raise InputError("The document is not a JSON object.", where=where) from error
    except ValueError as error:
        raise InputError("The document is not JSON.", where=where) from error


def read_range(
    url: str, count: int, headers: Mapping[str, str], *, start: int = 0, where: str = ""
) -> bytes | None:
    """Return at most `count` bytes from byte `start` on, or None if there is nothing at that address.

    Raises:
        DestinationError: the server does not answer, it refuses, or it sends the whole file instead of the
            requested part.
    """
    where = where or url
    request = {**headers, "Range": f"bytes={start}-{start + count - 1}"}
    with _answer(url, request, where) as answer:
        if answer.status_code in MISSING:
            return None
        if answer.status_code in CLOSED:
            raise DestinationError(
                f"The server answers {answer.status_code}: the document is not public.",
                where=where,
                hint="set HF_TOKEN, for a Hugging Face model whose licence you have accepted",
                code="not-public",
            )
        if answer.is_error:
            raise DestinationError(f"The server answers {answer.status_code}.", where=where)
        if start and answer.status_code != 206:
            raise DestinationError("The server sent the whole file instead of a part of it.", where=where)
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) >= count:
                break
        return bytes(content[:count])


@contextlib.contextmanager
def settings_explained() -> Iterator[None]:
    """Turn an error of httpx about proxies or certificates of the environment into a UsageError.

    The block makes a client. Its address must have been checked, so that the error cannot be about that.

    Raises:
        UsageError: httpx cannot use a proxy or a certificate file that a variable names.
    """
    import httpx

    try:
        yield
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        named = [name for name in PROXY_VARIABLES if os.environ.get(name)]
        raise UsageError(
            f"A proxy of the environment cannot be used: {reason_of(error)}.",
            where=", ".join(f"{name}={shown_address(os.environ[name])}" for name in named),
            hint=f"unset {' '.join(named)}, or set NO_PROXY=HOST, with the host that needs no proxy",
            code="bad-proxy",
        ) from error
    except OSError as error:
        named = [name for name in CERTIFICATE_VARIABLES if os.environ.get(name)]
        raise UsageError(
            f"The certificates of the environment cannot be read: {reason_of(error)}.",
            where=", ".join(f"{name}={os.environ[name]}" for name in named),
            hint=f"unset {' '.join(named)}",
            code="bad-certificates",
        ) from error


@contextlib.contextmanager
def _answer(url: str, headers: Mapping[str, str], where: str) -> Iterator[Any]:
    """Yield the response to a request, with its content not read yet.

    Raises:
        UsageError: a proxy of the environment cannot be used.
        DestinationError: the server does not answer, or the address is not valid.
    """
    import httpx

    bounds = ExchangeBounds()
    try:
        # No proxy of the environment may stand between this machine and its own loopback address.
        near = is_loopback(httpx.URL(url).host)
        options: dict[str, Any] = {"trust_env": not near, "verify": not near, "event_hooks": bounds.hooks()}
        with settings_explained():
            client = httpx.Client(timeout=SECONDS, follow_redirects=True, **options)
        # The answer is not compressed: a range would count compressed bytes.
        with (
            client,
            bounds.within(EXCHANGE_SECONDS, where),
            client.stream("GET", url, headers=dict(headers)) as answer,
        ):
            yield answer
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise DestinationError(
            f"The server does not answer: {reason_of(error)}.", where=where, code="no-network"
        ) from error
