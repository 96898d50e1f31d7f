"""The gate before the swap: a model is proved under a name of its own, in every delivery to a daemon."""

from dataclasses import replace

import fake_daemon
import pytest
from characters import CHARACTERS
from homes import Home, speaks
from scratch_store import snapshot

from ollama_pack.deliver import choose, history
from ollama_pack.deliver.load_check import check_load
from ollama_pack.deliver.package import REPLACED, UNCHANGED
from ollama_pack.deliver.staging import is_unproved
from ollama_pack.errors import ProofError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import LONGEST_PART, parse_name

WAYS = [
    *(("create", name) for name, character in CHARACTERS.items() if character.creates),
    *((via, name) for via in ("pull", "store", "auto") for name in CHARACTERS),
]


@pytest.fixture(params=WAYS, ids=", ".join)
def gated(request, models):
    """Return a daemon, and a function that delivers a package through the gate of the load proof."""
    via, character = request.param
    with fake_daemon.running(models, character) as fake:
        places = OllamaLocations(fake.address, (models,) if via == "store" else ())

        def put(package, gate=lambda package, daemon: check_load(package, daemon)):
            return choose.deliver(replace(package, gate=gate), places, via=via)

        yield fake, Home(places, models), put


def test_what_is_asked_has_not_the_name_yet(gated, package):
    """The proof asks a model of another name; afterwards the model has its own, and only that."""
    fake, home, put = gated
    seen = []

    def look(staged, daemon):
        seen.append((staged.place, home.current(staged.name)))
        check_load(staged, daemon)

    receipt = put(package, look)
    ((place, meant),) = seen
    assert is_unproved(place)
    assert place.model == package.name.model
    assert meant == ""
    assert home.current(package.name) == receipt.digest
    assert home.all(package.name) == {str(package.name)}
    asked = {body["model"] for body in fake.asked("POST", "/api/generate") if body.get("prompt")}
    assert place.display in asked
    assert package.name.display not in asked


def test_a_failure_leaves_what_was_there(gated, package):
    """The name means what it meant, its versions stay, and the error says so."""
    fake, home, put = gated
    first, second = put(package), put(speaks(package, "Be new."))
    before = snapshot(home.store)
    fake.mood = "cannot load"
    with pytest.raises(ProofError, match="still means the model") as caught:
        put(speaks(package, "Be broken."))
    assert caught.value.exit_code == 5
    assert f"The daemon cannot load {package.name} (" in caught.value.what
    assert caught.value.what.endswith(f"{package.name} still means the model {second.digest[:12]}.")
    assert "remove" not in caught.value.hint
    assert home.current(package.name) == second.digest
    assert home.versions(package.name) == [first.digest]
    after = snapshot(home.store)
    assert {path: after[path] for path in before} == before
    assert all(path.startswith("blobs/") for path in after.keys() - before.keys())


def test_a_failure_of_a_new_model_registers_nothing(gated, package):
    """Where there was no model of that name there is none."""
    fake, home, put = gated
    fake.mood = "cannot load"
    with pytest.raises(ProofError) as caught:
        put(package)
    assert caught.value.what.endswith(f"{package.name} was not registered.")
    assert home.all(package.name) == set()


def test_a_proved_model_replaces(gated, package):
    """The receipt is that of a delivery without a gate: what was replaced, and what is kept."""
    _, home, put = gated
    first = put(package)
    assert REPLACED not in first.lines
    second = put(speaks(package, "Be new."))
    assert second.name == str(package.name)
    assert REPLACED in second.lines
    assert second.lines[-1].startswith(
        f"the previous model is kept as {package.name}:latest-{first.digest[:8]}"
    )
    assert second.served
    assert UNCHANGED in put(speaks(package, "Be new.")).lines
    assert home.versions(package.name) == [first.digest]


def test_what_a_killed_run_left_is_tidied(gated, package):
    """The next delivery of the name deletes the name of a proof that never ended; other names stay."""
    fake, home, put = gated
    put(package)
    left = replace(package.name, tag=f"{package.name.tag}-unproved-0a1b2c3d")
    other = replace(package.name, tag="mine-unproved-0a1b2c3d")
    with Daemon(fake.address) as daemon:
        daemon.copy(package.name.display, left.display)
        daemon.copy(package.name.display, other.display)
    put(speaks(package, "Be new."))
    names = home.all(package.name)
    assert str(left) not in names
    assert str(other) in names


def test_a_store_that_no_daemon_uses_is_written_without_a_proof(package, models, fake, tmp_path, gguf_base):
    """A daemon with another store has nothing to prove; the model is there all the same."""
    from scratch_store import add_base

    add_base(tmp_path / "other", gguf_base)
    asked = []
    places = OllamaLocations(fake.address, (tmp_path / "other",), named=True)
    receipt = choose.deliver(replace(package, gate=lambda *given: asked.append(given)), places, via="store")
    assert asked == []
    assert "uses another store" in receipt.lines[-1]
    assert Home(OllamaLocations("http://127.0.0.1:9", (tmp_path / "other",), named=True), models).all(
        package.name
    ) == {str(package.name)}


def test_a_failed_proof_in_a_store_takes_its_blobs_back(fake, package, models):
    """A store is byte for byte what it was: nothing waits for Ollama to tidy it."""
    before = snapshot(models)
    fake.mood = "cannot load"
    gate = lambda package, daemon: check_load(package, daemon)  # noqa: E731
    with pytest.raises(ProofError):
        choose.deliver(replace(package, gate=gate), OllamaLocations(fake.address, (models,)), via="store")
    assert snapshot(models) == before


def test_a_long_tag_has_a_name_for_its_proof(fake, package):
    """A tag of the greatest length is cut for the proof, and is whole afterwards."""
    name = parse_name(f"{package.name.model}:{'t' * LONGEST_PART}")
    places, seen = OllamaLocations(fake.address, ()), []
    gate = lambda staged, _: seen.append(staged.place)  # noqa: E731
    choose.deliver(replace(package, name=name, gate=gate), places, via="create")
    assert is_unproved(seen[0])
    with Daemon(fake.address) as daemon:
        assert name.display in {model.name for model in daemon.models()}
        assert history.version_name(name, "0" * 64) != seen[0]
