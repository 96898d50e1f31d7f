"""What may be shown of addresses and of the words of libraries: everything but their secrets.

An address may have a user and a password before its host, and a key in its path or its query. Exceptions of
libraries repeat addresses and headers. So no message of this package contains either as it came: an address
goes through `shown_address`, an exception of a library through `reason_of`, and every other text of an error
through `without_secrets`.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import unquote

LONGEST_REASON = 1000
"""Most characters of a text that a library, a daemon or a server gives as a reason."""

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OLLAMA_API_KEY")
PROXY_VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy")
ADDRESS_VARIABLES = ("OLLAMA_HOST", "HF_ENDPOINT", *PROXY_VARIABLES)

_SCHEMES = ("http", "https", "ftp", "unix", "socks4", "socks4a", "socks5", "socks5h")
_PUBLIC = ("huggingface.co", "hf.co", "modelscope.cn", "ollama.com", "registry.ollama.ai", "github.com")
_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[^\s:/?#\\\[\]]*)(?::[0-9]{1,5}(?![^/?#]))?")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+\S+")
_PINNED = re.compile(
    r"(?:oci://[\w.-]+(?::[0-9]{1,5})?/[\w./-]+@sha256:[0-9a-f]{64}|hf://[\w.-]+/[\w.-]+@[\w.%-]+(?:/[\w./-]*)?)(?![\w@?:])"
)
"""An address with a digest or a revision: what stands before its ``@`` is not a user."""

_AUTHORISATION = re.compile(r"\b(bearer|basic)\s+[^\s'\"]+", re.IGNORECASE)
_SHORTEST_SECRET = 8
"""Shorter values of the environment are not hidden in texts: they may be parts of ordinary words."""


def shown_address(url: str) -> str:
    """Return an address as it may be printed: its scheme, its host and its port, and ``/…`` for what follows.

    Everything before the last ``@`` is left out, even if the address is malformed. A path is shown
    only for a public server, where it is the name of a model; a query is never shown.

    Example:
        >>> shown_address("HTTPS://ada:pw@example.com:8443/v1/4bd9c0")
        'https://example.com:8443/…'
        >>> shown_address("https://huggingface.co/ada/babbage-lora?token=hf_x")
        'https://huggingface.co/ada/babbage-lora'
    """
    scheme, mark, rest = url.strip().partition("://")
    if not mark:
        scheme, rest = "", url.strip()
    users, _, rest = rest.rpartition("@")
    match = _SERVER.match(rest)
    server = match[0] if match else ""
    more = rest[len(server) :]
    path = re.split(r"[?#\s]", more, maxsplit=1)[0]
    if users or server.lower() not in _PUBLIC:
        path = "" if more in ("", "/") else "/…" if more[0] in "/?#" else "…"
    shown = scheme.lower() if scheme.lower() in _SCHEMES else "…"  # a token may stand there by mistake
    return f"{shown}://{server}{path}" if mark else f"{server}{path}"


def hide_passwords(text: str) -> str:
    """Return a text without passwords and queries of addresses, and ``Bearer`` or ``Basic`` secrets."""
    if "://" in text or ":/" in text:
        text = _ADDRESS.sub(_without_user, text)
    return _AUTHORISATION.sub(r"\1 …", text) if "earer" in text.lower() or "asic" in text.lower() else text


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a text without passwords of addresses, and without the tokens and passwords of the environment.

    Args:
        text: words that somebody else may have written.
        environment: the environment variables of the process, by default those of this one.
    """
    text = hide_passwords(text)
    for secret in _secrets_of(os.environ if environment is None else environment):
        text = text.replace(secret, "…")
    return text


def reason_of(error: BaseException) -> str:
    """Return the text of a library's exception on one line, bounded, without secrets and without a full stop.

    This is the only way by which such a text gets into a message; tests/test_house.py looks for others.
    """
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return words_of(_ADDRESS.sub(lambda found: _shown_with_tail(found[0]), text)).rstrip(".")


def words_of(text: str) -> str:
    """Return what a daemon or a server says on one line, bounded and without secrets."""
    line = without_secrets(" ".join(text.split()))
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}… ({len(line)} characters)"


def _without_user(found: re.Match[str]) -> str:
    """Return an address in a text as it is, or as it may be shown if it has a user or a query."""
    if _PINNED.match(found[0]):
        return found[0]
    return _shown_with_tail(found[0]) if "@" in found[0] or re.search(r"\?\S*=", found[0]) else found[0]


def _shown_with_tail(address: str) -> str:
    """Return an address as it may be shown, with the punctuation of the sentence behind it."""
    bare = address.rstrip("'\"`.,;:)]}>")
    return shown_address(bare) + address[len(bare) :]


def _secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Return the tokens and passwords in the variables of the environment, the longest first."""
    found = {piece for name in TOKEN_VARIABLES for piece in environment.get(name, "").split()}
    for name in ADDRESS_VARIABLES:
        users = environment.get(name, "").partition("://")[2] or environment.get(name, "")
        users = users.rpartition("@")[0]
        password = users.partition(":")[2] or users
        found |= {users, password, unquote(password)}
    return sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)
