"""Fetches JSON documents and parts of large files by HTTP; callers do so only if the user asked for it.

The number of bytes that are read is bounded, whatever the server sends. Redirections are followed; httpx
sends the ``Authorization`` header only to the host it is meant for.
"""

import contextlib
import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_pack.errors import DestinationError, InputError

SECONDS = 30.0
"""Time limit for a connection, and for each read."""

LARGEST_DOCUMENT = 4 << 20
"""Most bytes of a JSON document."""

MISSING = (404, 410)
"""HTTP status codes for an address at which there is nothing."""

CLOSED = (401, 403)
"""HTTP status codes for a document that needs an authorisation."""


def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback address, so that the other side is on this machine."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def read_document(url: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the JSON object at a URL, or None if there is nothing at that address.

    Raises:
        InputError: the document is not a JSON object, or it is too large.
        DestinationError: the server does not answer, or it refuses.
    """
    content = read_range(url, LARGEST_DOCUMENT + 1, headers)
    if content is None:
        return None
    if len(content) > LARGEST_DOCUMENT:
        raise InputError(f"The document has more than {LARGEST_DOCUMENT} bytes.", where=url)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("The document is not JSON.", where=url) from error
    if not isinstance(document, dict):
        raise InputError("The document is not a JSON object.", where=url)
    return document


def read_range(url: str, count: int, headers: Mapping[str, str], *, start: int = 0) -> bytes | None:
    """Return at most `count` bytes from byte `start` on, or None if there is nothing at that address.

    Raises:
        DestinationError: the server does not answer, it refuses, or it sends the whole file instead of the
            requested part.
    """
    # With a compressing encoding, the range would count compressed bytes.
    request = {**headers, "Range": f"bytes={start}-{start + count - 1}", "Accept-Encoding": "identity"}
    with _answer(url, request) as answer:
        if answer.status_code in MISSING:
            return None
        if answer.status_code in CLOSED:
            raise DestinationError(
                f"The server answers {answer.status_code}: the document is not public.",
                where=url,
                hint="set HF_TOKEN, for a Hugging Face model whose licence you have accepted",
                code="not-public",
            )
        if answer.is_error:
            raise DestinationError(f"The server answers {answer.status_code}.", where=url)
        if start and answer.status_code != 206:
            raise DestinationError("The server sent the whole file instead of a part of it.", where=url)
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) >= count:
                break
        return bytes(content[:count])


@contextlib.contextmanager
def _answer(url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """Yield the response to a request, with its content not read yet.

    Raises:
        DestinationError: the server does not answer, or the address is not valid.
    """
    import httpx

    # No proxy of the environment may stand between this machine and its own loopback address.
    near = is_loopback(httpx.URL(url).host)
    options: dict[str, Any] = {"trust_env": not near, "verify": not near}
    try:
        with (
            httpx.Client(timeout=SECONDS, follow_redirects=True, **options) as client,
            client.stream("GET", url, headers=dict(headers)) as answer,
        ):
            yield answer
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise DestinationError(
            f"The server does not answer: {reason}.", where=url, code="no-network"
        ) from error
