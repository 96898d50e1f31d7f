"""What OLLAMA_HOST means."""

import socket

import pytest

from ollama_pack.errors import InputError
from ollama_pack.http.loopback import is_loopback
from ollama_pack.ollama.address import may_answer, parse_host


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("example.com", "http://example.com:11434"),
        ("example.com:56789", "http://example.com:56789"),
        (":56789", "http://127.0.0.1:56789"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:8443/ollama/", "https://example.com:8443/ollama"),
        ("ollama.com", "https://ollama.com:443"),
        (' "127.0.0.1:8080" ', "http://127.0.0.1:8080"),
        ("HTTP://example.com", "http://example.com:11434"),
        ("HTTPS://example.com:8443", "https://example.com:8443"),
        ("example.com:", "http://example.com:11434"),
        ("http://example.com:", "http://example.com:80"),
        ("127.0.0.1:0080", "http://127.0.0.1:80"),
    ],
)
def test_the_forms_ollama_accepts(text, address):
    """Every form Ollama accepts becomes an address a client can reach."""
    assert parse_host(text) == address


@pytest.mark.parametrize(
    "text",
    ["ftp://s3cret", "unix:///run/s3cret", "http://me:s3cret@h", "HTTPS://me:s3cret@h", "ftp://me:s3cret@h",
     "me:s3cr/et@h", "http://h/s3cret@x", "http://h:1/?k=s3cret@", "[", "http://[", "[s3cret", "s3cret..h",
     "http://s3cret h", "h\ns3cret", "s3cret://h", "h<s3cret>"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    """A foreign scheme, a user, a password and a broken address are errors that do not repeat the value."""
    with pytest.raises(InputError, match="OLLAMA_HOST") as caught:
        parse_host(text)
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["h:none", "http://h:99999", "https://h:-1", "localhost:²", "[::1]:65536", ":s3cret", "h:" + "9" * 5000],
)
def test_a_port_that_there_is_not(text):
    """Ollama would ask its default port; a user who named another meant another, and is told."""
    with pytest.raises(InputError, match="OLLAMA_HOST has a port that is not a number up to 65535") as caught:
        parse_host(text)
    assert "s3cret" not in str(caught.value)


def test_this_machine_is_known():
    """Loopback is recognised by name and number."""
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1"]))
    assert not is_loopback("example.com")


def test_a_closed_port_is_known_at_once():
    """Where nothing listens on this machine nothing may answer; of others that is not known."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert not may_answer(address)
        listener.listen()
        assert may_answer(address)
    assert may_answer("http://example.invalid:11434")
