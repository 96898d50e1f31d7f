"""Reads addresses and tokens from the environment, and says which variable is wrong without repeating it."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from ollama_pack.errors import UsageError

_NO_HOST = "\"#%'<>?@\\^`{|}"
"""ASCII characters that neither a host name nor an IP address has."""


def check_address(address: str, variable: str, example: str) -> str:
    """Return an address that a client can use, as it is.

    Args:
        address: an address with its scheme; it may have a user and a password.
        variable: the variable of the environment that it comes from.
        example: what to set instead, for the message.

    Raises:
        UsageError: it is not an address. The message does not repeat it.
    """
    try:
        parts = urlsplit(address)
        port_is_right = parts.port is None or parts.port > 0
        host = parts.hostname or ""
        if ":" in host or (host.count(".") == 3 and host.replace(".", "").isdigit()):
            ipaddress.ip_address(host)
        else:
            host.encode("idna")  # loads tables, which the default address does not need
    except ValueError:  # an open bracket, an invalid port or IP address, or a label that is too long
        host, port_is_right = "", False
    plain = address.isprintable() and " " not in address and not any(letter in host for letter in _NO_HOST)
    if not (host and port_is_right and plain and parts.scheme in ("http", "https")):
        raise UsageError(f"{variable} is not an address.", hint=example, code="bad-address")
    return address


def read_token(environment: Mapping[str, str], variable: str) -> str:
    """Return the token in a variable of the environment without white space around it, or an empty text.

    Raises:
        UsageError: the token has a character that no token has, which happens when it is copied by mistake
            with other text. The message does not repeat it.
    """
    token = environment.get(variable, "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(
            f"{variable} is not a token: it contains a space, a line end or a character that is not ASCII.",
            hint=f"copy the token again, and set {variable} to it alone, or unset it",
            code="bad-token",
        )
    return token
