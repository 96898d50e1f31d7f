"""Makes the HTTP clients of a daemon: they follow no redirection, and send the key to ollama.com alone.

The ``ollama`` library would follow redirections with the body of a request, and would send
``OLLAMA_API_KEY`` to whatever ``OLLAMA_HOST`` names.
"""

import importlib
import os
import shlex
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ollama_pack.errors import DestinationError, UsageError
from ollama_pack.http.environment import read_token
from ollama_pack.http.exchange import ExchangeBounds
from ollama_pack.http.fetch import CERTIFICATE_VARIABLES, settings_explained
from ollama_pack.ollama.address import is_near
from ollama_pack.shown import ADDRESS_VARIABLES, TOKEN_VARIABLES, shown_address

if TYPE_CHECKING:
    import httpx
    import ollama

CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 900.0
"""Longest wait between two lines of a stream: a daemon that checks a large GGUF sends nothing for minutes."""

ANSWER_SECONDS = 300.0
"""Longest exchange that is a question and an answer. A daemon on a slow disk takes seconds for its models."""

STREAM_SECONDS = 86400.0
"""Longest exchange in which a daemon sends what it does line by line; it may pull a model for hours."""

SLOWEST_UPLOAD = 100_000
"""Bytes a second below which an upload is given up."""

KEY_VARIABLE, KEY_HOST = "OLLAMA_API_KEY", "ollama.com"
"""The variable of the key, and the one host that it is meant for."""


def make_clients(address: str, bounds: ExchangeBounds) -> "tuple[httpx.Client, ollama.Client]":
    """Return a plain client of a daemon and one of the ``ollama`` library, with the same settings and bounds.

    Raises:
        UsageError: the address is not valid; or a proxy or a certificate of the environment, or the key for
            ollama.com, cannot be used.
    """
    import httpx

    try:
        httpx.URL(address)
    except httpx.InvalidURL as error:  # such as for a character that no host name has
        raise UsageError(
            "OLLAMA_HOST is not an address.", hint="OLLAMA_HOST=HOST:PORT", code="bad-address"
        ) from error
    ollama = _library()
    remote = not is_near(address)
    key, hooks = _key_for(address), bounds.hooks()

    def authorise(request: "httpx.Request") -> "httpx.Request":
        request.headers.pop("Authorization", None)
        if key:
            request.headers["Authorization"] = f"Bearer {key}"
        return request

    options: dict[str, Any] = {
        "timeout": httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        # A proxy cannot reach the loopback interface, and reading the certificates would take 40 ms.
        "trust_env": remote,
        "verify": remote,
        "follow_redirects": False,
        "auth": authorise,
        "event_hooks": {"request": hooks["request"], "response": [refuse_redirection, *hooks["response"]]},
    }
    unread = {"Authorization": "none"}  # With a header of this name, the library does not look for a key.
    with settings_explained():
        return httpx.Client(base_url=address, **options), ollama.Client(
            host=address, headers=unread, **options
        )


def _library() -> ModuleType:
    """Return the ``ollama`` library, imported while the variables that it would read are hidden.

    The library makes a client of its own when it is imported, which is never used. An address, a key, a proxy
    or a certificate that this client cannot use would end the import with an error, even if the daemon needs
    none of them.
    """
    read = (*ADDRESS_VARIABLES, *TOKEN_VARIABLES, *CERTIFICATE_VARIABLES)
    hidden = {name: os.environ.pop(name) for name in read if name in os.environ}
    try:
        return importlib.import_module("ollama")
    finally:
        os.environ.update(hidden)


def _key_for(address: str) -> str:
    """Return the key for a daemon's address, which is empty for every host but ollama.com over HTTPS."""
    target = urlsplit(address)
    meant = target.scheme == "https" and target.hostname == KEY_HOST
    return read_token(os.environ, KEY_VARIABLE) if meant else ""


def refuse_redirection(answer: "httpx.Response") -> None:
    """Raise an error if a daemon sends a request on: its body would go to another host than the user named.

    Raises:
        DestinationError: the response is a redirection.
    """
    if not answer.has_redirect_location:
        return
    there = shown_address(answer.headers["Location"])
    usable = there.startswith(("http://", "https://")) and "…" not in there
    raise DestinationError(
        "The server at this address redirects requests, and ollama-pack does not follow redirections.",
        where=shown_address(str(answer.request.url)),
        hint=f"OLLAMA_HOST={shlex.quote(there)}, if that is your daemon"
        if usable
        else "set OLLAMA_HOST=HOST:PORT to the address of the daemon itself",
        code="redirection",
    )
