"""Tells whether the other side of a connection is this machine."""

import contextlib
import ipaddress


def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback address, so that the other side is on this machine."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
