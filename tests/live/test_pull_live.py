"""A real daemon fetches our models, learns them to us, and runs them."""

from dataclasses import replace

import pytest
from proxy import before
from scratch_store import BASE_TAG, manifest_of

from ollama_pack.deliver import choose, create, pull, store
from ollama_pack.deliver.package import UNCHANGED
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.manifest_probe import probe_manifest
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import image_in_store

pytestmark = pytest.mark.live


def test_a_real_daemon_tells_its_base(live):
    """What the daemon pushes is what its store has, and nothing of it stays."""
    assert probe_manifest(live.daemon, BASE_TAG) == image_in_store(live.store, BASE_TAG)
    assert not any(model.name.startswith("127.0.0.1") for model in live.daemon.models())


def test_three_ways_one_model(live, package):
    """Created, pulled and stored models have one manifest and give one answer, which is not the base's."""
    deliveries = (create.CREATE, pull.PULL, store.STORE)
    named = {via: replace(package, name=parse_name(f"{package.name}-{via}")) for via in deliveries}
    receipts = {
        "create": create.create_model(named[create.CREATE], live.daemon),
        "pull": pull.pull_model(named[pull.PULL], live.daemon),
        "store": store.write_to_store(named[store.STORE], live.store),
    }
    digests = {way: receipt.digest for way, receipt in receipts.items()}
    assert digests["pull"] == digests["store"] == digests["create"]
    answers = {live.say(receipt.name) for receipt in receipts.values()}
    assert len(answers) == 1
    assert answers != {live.say(BASE_TAG)}
    assert "--lora" in live.log.read_text("utf-8", "replace")


def test_a_daemon_that_creates_no_adapters(live, package):
    """With a refusal as 0.34.1 gives it in between, auto still ends in a model that runs."""
    with before(live.address, refuses=True) as address:
        receipt = choose.deliver(package, OllamaLocations(address, ()))
        assert (receipt.via, receipt.served) == ("pull", True)
        asked = choose.deliver(
            replace(package, name=parse_name(f"{package.name}-2")), OllamaLocations(address, ()), via="pull"
        )
    assert live.say(receipt.name) == live.say(asked.name) != live.say(BASE_TAG)
    assert manifest_of(live.store, package.name.model)["layers"][-1]["mediaType"].endswith(
        (".params", ".adapter")
    )


def test_the_very_same_again(live, package):
    """A second pull of the same model moves nothing, and says so."""
    with Daemon(live.address) as daemon:
        first, second = pull.pull_model(package, daemon), pull.pull_model(package, daemon)
    assert (second.digest, second.bytes_written) == (first.digest, 0)
    assert (UNCHANGED in first.lines, UNCHANGED in second.lines) == (False, True)
