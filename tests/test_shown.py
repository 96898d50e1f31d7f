"""What is shown of addresses and of a library's words: never a password, a key or a token."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.errors import PackError
from ollama_pack.shown import hide_passwords, reason_of, shown_address, without_secrets, words_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("http://[::1]:11434/", "http://[::1]:11434"),
        ("HTTPS://ada:pw@example.com:8443/v1/4bd9c0?key=x#y", "https://example.com:8443/…"),
        ("ftp://ada:pw@example.com", "ftp://example.com"),
        ("ada:s3cr/et@example.com", "example.com"),
        ("https://ada:s3cr/et@example.com", "https://example.com"),
        ("https://ada:p@ss@example.com/", "https://example.com"),
        ("https://ada:s3cret", "https://ada…"),
        ("https:/ada:s3cret@example.com", "example.com"),
        ("s3cret://example.com", "…://example.com"),
        ("http://[::1", "http://…"),
        ("http://[", "http://…"),
        ("https://hf_s3cret@example.com?x", "https://example.com/…"),
        ("https://example.com/a@b:s3cret@c/x", "https://c/…"),
        ("socks5://ada:pw@proxy:1080", "socks5://proxy:1080"),
        ("https://huggingface.co/ada/babbage-lora?token=s3cret", "https://huggingface.co/ada/babbage-lora"),
        ("https://ollama.com", "https://ollama.com"),
        ("", ""),
    ],
)
def test_shown_address(url, shown):
    """Scheme, host and port are shown, the path of public servers too, and nothing secret if it is broken."""
    assert shown_address(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hf://ada/lovelace-lora@v2/checkpoint-3, and", "hf://ada/lovelace-lora@v2/checkpoint-3, and"),
        ("hf://ada/lovelace-lora@refs%2Fpr%2F1", "hf://ada/lovelace-lora@refs%2Fpr%2F1"),
        ("hf://ada:s3cret@example.com", "…://example.com"),
        ("hf://ada/x@ada:s3cret@example.com", "…://example.com"),
    ],
)
def test_a_revision_is_no_host(text, shown):
    """What stands before the revision of a repository is its name, which is shown; a password never is."""
    assert hide_passwords(text) == shown


SECRET = st.text(st.characters(exclude_characters="\n"), max_size=20).map(lambda text: f"S3CR{text}T")
FRAME = st.sampled_from(
    [
        "http://{}@h:1/x",
        "https://u:{}@h",
        "{}@h",
        "//{}@h",
        "x+y://u:{}@h/p@q",
        "http:/{}@h",
        "HTTPS://{}:x@h?q",
    ]
)


@given(SECRET, FRAME)
def test_nothing_before_the_host_is_shown(secret, frame):
    """Whatever stands before the last @ is left out, of whatever characters it is."""
    assert "S3CR" not in shown_address(frame.format(secret))


@given(
    SECRET,
    st.sampled_from(["https://h/{}", "https://h?{}", "http://h:1/#{}", "h/{}", "https://ollama.com?{}"]),
)
def test_nothing_behind_the_host_is_shown(secret, frame):
    """A path may be a key, and a query may contain one, so neither is shown."""
    assert "S3CR" not in shown_address(frame.format(secret))


def test_addresses_in_a_text():
    """In a text, an address with a user or a query is shortened, and every other one stays."""
    text = "see https://docs.example.com/page, not 'https://ada:s3cret@example.com/x' or http://h/a?k=v."
    assert hide_passwords(text) == (
        "see https://docs.example.com/page, not 'https://example.com/…' or http://h/…."
    )
    assert hide_passwords("Illegal header value b'Bearer s3cret\\n'") == "Illegal header value b'Bearer …'"


def test_values_of_the_environment():
    """A token or a password of the environment is taken out of any text, also in pieces or unquoted."""
    environment = {
        "HF_TOKEN": "hf_first-half\nhf_second-half",
        "OLLAMA_API_KEY": "key-of-ollama",
        "HTTPS_PROXY": "http://ada:p%40ssw0rd-long@proxy:1",
        "HF_ENDPOINT": "mytoken-12345@hub",
    }
    for word in ("hf_first-half", "hf_second-half", "key-of-ollama", "p@ssw0rd-long", "mytoken-12345"):
        assert without_secrets(f"it says {word}!", environment) == "it says …!"
    assert without_secrets("ada said so", environment) == "ada said so"


def test_errors_hide_what_they_are_made_of(monkeypatch):
    """An error of this package has no secret in any of its parts, whoever made it."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret-token")
    error = PackError(
        "No https://u:s3cret@h.", where="http://h/?k=s3cret", hint="https://u:s3cret@h and hf_secret-token"
    )
    assert (error.what, error.where) == ("No https://h.", "http://h/…")
    assert error.hint == "https://h and …"
    assert "s3cret" not in f"{error}{error.args}"


def test_words_of_libraries(monkeypatch):
    """The words of httpx about a header, a proxy and a status have no token, no password and no path."""
    monkeypatch.setenv("ALL_PROXY", "gopher://ada:s3cret-word@proxy")
    with pytest.raises(ValueError, match="scheme") as caught:
        httpx.Client()
    assert "s3cret" not in reason_of(caught.value)
    request = httpx.Request("GET", "https://ada:s3cret@example.com/key/s3cret")
    with pytest.raises(httpx.HTTPStatusError) as status:
        httpx.Response(500, request=request).raise_for_status()
    assert "s3cret" not in reason_of(status.value)
    assert reason_of(OSError(2, "No such file or directory", "x")) == "No such file or directory"
    assert reason_of(ValueError()) == "ValueError"
    assert reason_of(ValueError("one\n two.")) == "one two"


def test_long_words_are_cut():
    """The words of a server are bounded, and their length is told."""
    assert words_of("x" * 5000) == f"{'x' * 1000}… (5000 characters)"
