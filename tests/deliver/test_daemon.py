"""What a daemon's answers become, where no destination shows it."""

import httpx
import pytest

from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.store_layout import manifest_path


@pytest.fixture
def daemon(fake):
    with Daemon(fake.address) as daemon:
        yield daemon


def test_a_missing_model_is_none_and_not_an_error(daemon):
    """Asking for a model that is not there is a question like any other."""
    assert daemon.show("nowhere") is None


def test_a_model_can_be_removed_once(fake, daemon, package):
    """What was removed is gone, and cannot be removed again."""
    daemon.create(str(package.name), {"from": "tiny-base:latest"})
    daemon.delete(str(package.name))
    assert not manifest_path(fake.store, package.name).exists()
    with pytest.raises(DestinationError, match="not found"):
        daemon.delete(str(package.name))


def test_unloading_what_is_not_there_is_no_fault(daemon):
    """There is nothing to unload the first time."""
    daemon.unload("nowhere")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (httpx.ReadTimeout("timed out"), "connection to the daemon failed"),
        (httpx.RemoteProtocolError("peer closed connection"), "connection to the daemon failed"),
        (httpx.ConnectTimeout("timed out"), "No Ollama daemon answers"),
    ],
)
def test_a_network_that_fails_is_told(daemon, monkeypatch, error, says):
    """Each way a connection ends early is a DestinationError with the address."""

    def failing(*arguments, **fields):
        raise error

    monkeypatch.setattr(httpx.Client, "send", failing)
    with pytest.raises(DestinationError, match=says) as caught:
        daemon.version()
    assert caught.value.where == daemon.address
