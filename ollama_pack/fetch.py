"""Ask the web for little things: a JSON document, the first bytes of a large file. Only when a user said so.

What comes is bounded, whatever the other side promises. A redirection is followed; what authorises us is sent
to no other host than it was meant for.
"""

import contextlib
import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_pack.errors import DestinationError, InputError

SECONDS = 30.0
LARGEST_DOCUMENT = 4 << 20
MISSING = (404, 410)
CLOSED = (401, 403)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine speaking to itself."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def read_document(url: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a JSON object, None where there is none at that address.

    Raises:
        InputError: what comes is none, or too large.
        DestinationError: nobody answers, or the answer is no.
    """
    content = read_range(url, LARGEST_DOCUMENT + 1, headers)
    if content is None:
        return None
    if len(content) > LARGEST_DOCUMENT:
        raise InputError(f"The document has more than {LARGEST_DOCUMENT} bytes.", where=url)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("What came is no JSON.", where=url) from error
    if not isinstance(document, dict):
        raise InputError("What came is no JSON object.", where=url)
    return document


def read_range(url: str, count: int, headers: Mapping[str, str], *, start: int = 0) -> bytes | None:
    """Return at most `count` bytes from the byte `start` on; None where there is nothing at that address.

    Raises:
        DestinationError: nobody answers, the answer is no, or a part was asked for and the whole comes.
    """
    # As it is: a part of what is packed would be no part of the file.
    asked = {**headers, "Range": f"bytes={start}-{start + count - 1}", "Accept-Encoding": "identity"}
    with _answer(url, asked) as answer:
        if answer.status_code in MISSING:
            return None
        if answer.status_code in CLOSED:
            raise DestinationError(
                f"The answer is {answer.status_code}: it is not open to everybody.",
                where=url,
                hint="HF_TOKEN, for a model of Hugging Face whose licence you have accepted",
            )
        if answer.is_error:
            raise DestinationError(f"The answer is {answer.status_code}.", where=url)
        if start and answer.status_code != 206:
            raise DestinationError("A part was asked for, and the whole came.", where=url)
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) >= count:
                break
        return bytes(content[:count])


@contextlib.contextmanager
def _answer(url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """Open an answer whose content has not been read.

    Raises:
        DestinationError: nobody answers, or the address is none.
    """
    import httpx

    near = is_loopback(httpx.URL(url).host)
    options: dict[str, Any] = {"trust_env": not near, "verify": not near}
    try:
        with (
            httpx.Client(timeout=SECONDS, follow_redirects=True, **options) as client,
            client.stream("GET", url, headers=dict(headers)) as answer,
        ):
            yield answer
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DestinationError(f"Nobody answers: {str(error) or type(error).__name__}.", where=url) from error
