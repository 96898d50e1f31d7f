"""Addresses and tokens of the environment: what is wrong is told without repeating it."""

import pytest

from ollama_pack.errors import UsageError
from ollama_pack.http.environment import check_address, read_token


@pytest.mark.parametrize("token", ["hf_abc", " hf_abc ", "hf_abc\n", "\r\nhf_abc\r\n", "\thf_abc"])
def test_tokens_are_stripped(token):
    """Blanks and line ends around a token, which copying adds, are no part of it."""
    assert read_token({"HF_TOKEN": token}, "HF_TOKEN") == "hf_abc"


@pytest.mark.parametrize("token", ["hf_a\nhf_b", "hf_a b", "hf_ä", "hf_\x1b[31m", "hf_\udcff", "“hf_a”"])
def test_what_is_no_token(token):
    """A token of other characters is an error that names its variable and does not repeat it."""
    with pytest.raises(UsageError) as caught:
        read_token({"OLLAMA_API_KEY": token}, "OLLAMA_API_KEY")
    assert caught.value.code == "bad-token"
    assert "OLLAMA_API_KEY" in caught.value.what
    assert "hf_" not in f"{caught.value}{caught.value.args}"


def test_no_token():
    """A variable that is not set, or empty, is no token and no error."""
    assert read_token({}, "HF_TOKEN") == read_token({"HF_TOKEN": " \n"}, "HF_TOKEN") == ""


@pytest.mark.parametrize(
    "address",
    [
        "https://huggingface.co",
        "http://127.0.0.1:8080/hub",
        "http://[::1]:1",
        "https://u:p^w@h",
        "https://bücher.example",
    ],
)
def test_addresses(address):
    """An address that a client can use is returned as it is."""
    assert check_address(address, "HF_ENDPOINT", "") == address


@pytest.mark.parametrize(
    "address",
    ["http://[::1", "http://[", "gopher://s3cret", "s3cret", "http://a b", "http://", "http://h:s3cret",
     "http://h:99999",
     "http://h\n.s3cret", "http://s3cret..h", "http://256.1.1.1", "http://[fe80::s3cret]", "https://u:s3cret@[",
     f"http://{'s3cret' * 20}"],
)  # fmt: skip
def test_what_is_no_address(address):
    """Everything else is an error that names its variable and does not repeat it."""
    with pytest.raises(UsageError) as caught:
        check_address(address, "HF_ENDPOINT", "HF_ENDPOINT=https://huggingface.co")
    assert str(caught.value) == "HF_ENDPOINT is not an address.\n  try: HF_ENDPOINT=https://huggingface.co"
