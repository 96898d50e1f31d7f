"""Reads the address of a daemon from ``OLLAMA_HOST``, as Ollama's ``envconfig/config.go`` does."""

import contextlib
import ipaddress
from typing import Any
from urllib.parse import urlsplit

from ollama_pack.errors import UsageError
from ollama_pack.http.environment import check_address
from ollama_pack.http.loopback import is_loopback

DEFAULT_PORT, LARGEST_PORT = 11434, 65535
KNOCK_SECONDS = 0.5
"""How long `may_answer` waits for a connection."""

_PORTS = {"http": 80, "https": 443}


def parse_host(text: str) -> str:
    """Return the URL that a value of ``OLLAMA_HOST`` means to a client.

    Accepts what Ollama accepts: ``host``, ``host:port``, ``:port``, ``[::1]:port`` and
    ``scheme://host:port/path``. An empty value means ``http://127.0.0.1:11434``. An address to listen on
    everywhere (``0.0.0.0`` or ``::``) means this machine. As in Ollama, only a scheme in lower case changes
    the default port. A port that cannot exist is an error; Ollama takes the default one instead.

    Raises:
        UsageError: the value is not an address, or it has a user or a password. The message does not repeat
            it: what is wrong with an address may be its password.
    """
    plain = text.strip().strip("\"'").strip()
    if "@" in plain:
        raise UsageError(
            "OLLAMA_HOST contains @, and Ollama supports no user or password in it.",
            hint="OLLAMA_HOST=HOST:PORT",
            code="bad-address",
        )
    scheme, separator, rest = plain.partition("://")
    if not separator:
        scheme, rest = ("https", "ollama.com:443") if plain == "ollama.com" else ("http", plain)
    if scheme.lower() not in _PORTS:
        raise UsageError(
            "OLLAMA_HOST has a scheme that is neither http nor https.",
            hint="OLLAMA_HOST=HOST:PORT",
            code="bad-address",
        )
    hostport, _, path = rest.partition("/")
    default = _PORTS.get(scheme, DEFAULT_PORT) if separator else DEFAULT_PORT
    host, port = _host_and_port(hostport, default)
    path = f"/{path.strip('/')}" if path.strip("/") else ""
    address = f"{scheme.lower()}://{_dialable(host)}:{port}{path}"
    return check_address(address, "OLLAMA_HOST", "OLLAMA_HOST=HOST:PORT")


def _host_and_port(hostport: str, default: int) -> tuple[str, int]:
    """Return the host and the port of `hostport`; the port is `default` if none is given.

    Raises:
        UsageError: the port is no number up to `LARGEST_PORT`.
    """
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(hostport.strip("[]"))), default
    host, colon, port = hostport.rpartition(":")
    if not colon:
        return hostport, default
    digits = port.lstrip("0") or "0"
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(LARGEST_PORT))
    if port and not (is_number and int(digits) <= LARGEST_PORT):
        raise UsageError(
            f"OLLAMA_HOST has a port that is not a number up to {LARGEST_PORT}.",
            hint="OLLAMA_HOST=HOST:PORT",
            code="bad-address",
        )
    return host.strip("[]"), int(digits) if port else default


def _dialable(host: str) -> str:
    """Return a host that a client can connect to: loopback for an empty or unspecified address."""
    if not host:
        return "127.0.0.1"
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"
        return str(address) if address.version == 4 else f"[{address}]"
    return host


def is_near(address: str) -> bool:
    """Return whether a daemon's address is the loopback interface of this machine."""
    return is_loopback(urlsplit(address).hostname or "")


def may_answer(address: str) -> bool:
    """Return False if certainly nothing listens at `address`.

    Only a loopback address is tried, for at most `KNOCK_SECONDS`; for another machine the answer is True.
    """
    target = urlsplit(address)
    host = target.hostname or ""
    if not is_loopback(host):
        return True
    import socket  # a conversion asks no daemon

    # As bytes it is looked up without the tables of IDNA, which take long to load and are not needed here.
    name: Any = host.encode()
    try:
        with socket.create_connection((name, target.port), timeout=KNOCK_SECONDS):
            return True
    except OSError:
        return False
