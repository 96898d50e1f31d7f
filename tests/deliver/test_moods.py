"""What a daemon does on a bad day, on every way through it: streams that fail, break off, or trickle."""

import pytest
from scratch_store import snapshot

from ollama_pack.deliver import choose
from ollama_pack.deliver.base_check import digest_in
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations


@pytest.mark.parametrize("via", ["create", "pull", "auto"])
def test_a_slow_stream_is_read_to_its_end(fake, package, via):
    """Lines that come a few bytes at a time are the same lines."""
    fake.mood = "slow"
    receipt = choose.deliver(package, OllamaLocations(fake.address, ()), via=via)
    with Daemon(fake.address) as daemon:
        assert digest_in(daemon, package.name) == receipt.digest


@pytest.mark.parametrize("via", ["create", "pull", "auto"])
@pytest.mark.parametrize(
    ("mood", "says"), [("fails", "unexpected EOF"), ("breaks", "The daemon stopped while")]
)
def test_status_200_is_no_success(fake, package, via, mood, says):
    """An error in the last line, and a stream without a last line, are errors; no model is left of either."""
    manifests = {name for name in snapshot(fake.store) if name.startswith("manifests")}
    fake.mood = mood
    with pytest.raises(DestinationError, match=says):
        choose.deliver(package, OllamaLocations(fake.address, ()), via=via)
    assert {name for name in snapshot(fake.store) if name.startswith("manifests")} == manifests
    fake.mood = "friendly"
    assert choose.deliver(package, OllamaLocations(fake.address, ()), via=via).digest
