"""Which way a model goes, and why."""

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from scratch_store import snapshot
from tiny_model import base_noun

from ollama_pack.deliver import choose
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.ollama import daemon_store as where
from ollama_pack.ollama.api_errors import AdapterRefusedError
from ollama_pack.ollama.daemon import CONNECT_SECONDS
from ollama_pack.ollama.locations import SERVICE_STORE, OllamaLocations, locations_from
from ollama_pack.ollama.store_layout import manifest_path

NOBODY = "http://127.0.0.1:9"


def test_a_silent_host_is_given_up(package):
    """What takes a connection and says nothing is given up within seconds, on each way through a daemon."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        places = OllamaLocations(f"http://127.0.0.1:{silent.getsockname()[1]}", ())
        for via in ("create", "pull"):
            start = time.monotonic()
            with pytest.raises(DestinationError):
                choose.deliver(package, places, via=via)
            assert time.monotonic() - start < 3 * CONNECT_SECONDS


def test_the_environment_names_the_places():
    """OLLAMA_HOST and OLLAMA_MODELS are honoured."""
    places = locations_from({"OLLAMA_HOST": "0.0.0.0:8080", "OLLAMA_MODELS": '"/srv/models"'})
    assert places == OllamaLocations("http://127.0.0.1:8080", (Path("/srv/models"),), host_named=True)


def test_without_an_environment_ollamas_defaults_hold():
    """The user's own store comes before the one of the service."""
    places = locations_from({})
    assert places.defaulted
    assert places.address == "http://127.0.0.1:11434"
    assert places.stores == (Path.home() / ".ollama" / "models", SERVICE_STORE)


def test_a_wrong_host_is_told():
    """A host that is none is an error before anything is tried."""
    with pytest.raises(InputError):
        locations_from({"OLLAMA_HOST": "ftp://x"})


def test_a_daemon_that_answers_creates(fake, package):
    """The daemon comes first, and the receipt says what was done and then why."""
    receipt = choose.deliver(package, OllamaLocations(fake.address, (fake.store,)))
    assert receipt.via == "create"
    assert receipt.lines[:2] == (
        f"registered {package.name} with Ollama at {fake.address}",
        f"because Ollama 0.33.0 answers at {fake.address}",
    )
    assert choose.plan_delivery(package, OllamaLocations(fake.address, (fake.store,))).via == "create"


def test_without_a_daemon_the_store_is_written(models, package):
    """Nothing listens, so the store that has the base is used, and the reason told."""
    places = OllamaLocations(NOBODY, (Path("/nonexistent"), models))
    receipt = choose.deliver(package, places)
    assert (receipt.via, receipt.where) == ("store", str(models))
    assert receipt.lines[0] == f"registered {package.name} in {models}"
    assert receipt.lines[1] == f"because no Ollama daemon answers at {NOBODY}"
    planned = choose.plan_delivery(package, places)
    assert (planned.via, planned.replaces) == ("store", True)
    assert "no Ollama daemon answers" in planned.reason


def test_a_named_daemon_that_is_down(models, package):
    """Its absence is an error and no store of this machine takes its place; the option in the hint does."""
    places = OllamaLocations(NOBODY, (models,), host_named=True)
    for attempt in (choose.deliver, choose.plan_delivery):
        with pytest.raises(DestinationError, match="answers, but OLLAMA_HOST names it") as caught:
            attempt(package, places)
        assert caught.value.where == NOBODY
        assert "--via store  uses a store of this machine" in caught.value.hint
    assert not manifest_path(models, package.name).exists()
    assert choose.deliver(package, places, via="store").where == str(models)
    assert choose.deliver(package, places._replace(named=True)).where == str(models)


def test_a_refusing_daemon_fetches_the_model(fake, package):
    """Adapters refused: the daemon pulls the model from here, and what was tried before is told."""
    fake.becomes("0.33.0", creates=False)
    receipt = choose.deliver(package, OllamaLocations(fake.address, (Path("/nonexistent"),)))
    assert (receipt.via, receipt.where) == ("pull", fake.address)
    assert "does not create models with adapters, but runs them" in receipt.lines[1]
    assert receipt.tried == (
        "create: This Ollama no longer creates models with adapters; it still runs them.",
    )
    assert manifest_path(fake.store, package.name).exists()


def test_a_version_that_refuses_is_not_asked_to_create(fake, package):
    """A version that surely creates no adapters is gone around at once, and planned so."""
    fake.becomes("0.34.2", creates=False)
    places = OllamaLocations(fake.address, (Path("/nonexistent"),))
    planned, receipt = choose.plan_delivery(package, places), choose.deliver(package, places)
    assert (planned.via, receipt.via, receipt.tried) == ("pull", "pull", ())
    assert "0.34.2" in planned.reason
    assert not fake.asked("POST", "/api/create")


def test_a_version_that_says_nothing_is_tried(fake, package):
    """A daemon built from source says 0.0.0: what it answers counts, not its number."""
    fake.becomes("0.0.0")
    assert choose.deliver(package, OllamaLocations(fake.address, ())).via == "create"


def far(fake):
    """Make a daemon refuse adapters, and not reach this machine, as one in a container does."""
    fake.becomes("0.34.2", creates=False)
    fake.mood = "far"


def test_a_daemon_that_cannot_come_back_is_served_through_its_store(fake, package):
    """Where pulling is closed too, the daemon's own store is written into, if it is here."""
    far(fake)
    receipt = choose.deliver(package, OllamaLocations(fake.address, (fake.store,)))
    assert (receipt.via, receipt.where) == ("store", str(fake.store))
    assert receipt.tried[0].startswith("pull: The daemon did not request the model")
    assert receipt.served


def test_every_closed_way_is_told(fake, package, monkeypatch):
    """A store that is not the daemon's is not written behind the user's back: then every way is closed."""
    fake.becomes("0.33.0", creates=False)
    monkeypatch.setattr(where, "_path_in", {}.get)  # the daemon names a path nobody here has
    monkeypatch.setattr(choose.pull, "is_near", lambda _: False)  # and is on another machine
    before = snapshot(fake.store)
    with pytest.raises(DestinationError, match="No delivery works") as caught:
        choose.deliver(package, OllamaLocations(fake.address, (Path("/nonexistent"),)))
    assert "create: This Ollama" in caught.value.what
    assert "pull: The daemon is on another machine" in caught.value.what
    added = snapshot(fake.store).keys() - before.keys()
    assert not any(path.startswith("manifests") for path in added)


def test_a_model_of_the_same_name_elsewhere_proves_nothing(fake, package, models, tmp_path, monkeypatch):
    """A store counts as the daemon's only if a manifest there has the daemon's digest."""
    far(fake)
    twin, name = tmp_path / "twin", replace(package.name, model="tiny-base")
    copy = manifest_path(twin, name)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(manifest_path(models, name).read_bytes() + b" ")
    monkeypatch.setattr(where, "_path_in", lambda _: twin / "blobs" / "sha256-0")  # a path in a container
    assert choose.deliver(package, OllamaLocations(fake.address, (models,))).where == str(models)


def test_no_daemon_and_no_base_is_an_error_with_a_way_out(package, tmp_path):
    """The error names both things that are missing, and what would help."""
    with pytest.raises(DestinationError) as caught:
        choose.deliver(package, OllamaLocations(NOBODY, (tmp_path / "models",)))
    assert caught.value.what == (
        f"No Ollama daemon answers at {NOBODY}, and no Ollama store here has tiny-base."
    )
    assert "ollama pull tiny-base" in caught.value.hint
    assert caught.value.exit_code == 6


def test_a_gguf_base_makes_its_store(package, gguf_base, tmp_path):
    """Without a daemon and without a store a GGUF base still gets somewhere."""
    models = tmp_path / "home" / ".ollama" / "models"
    receipt = choose.deliver(
        replace(package, base=base_noun(gguf_file=gguf_base)), OllamaLocations(NOBODY, (models,))
    )
    assert receipt.where == str(models)
    assert manifest_path(models, package.name).exists()


def test_the_user_may_choose_the_store(fake, package):
    """``--via store`` does not ask the daemon to create; what it had loaded is unloaded."""
    receipt = choose.deliver(package, OllamaLocations(fake.address, (fake.store,)), via="store")
    assert receipt.via == "store"
    assert not fake.asked("POST", "/api/create")
    assert len(fake.asked("POST", "/api/generate")) == 2


def test_a_store_the_daemon_does_not_read_is_told(fake, package, gguf_base, tmp_path):
    """A model written where the running daemon does not look is told in the last line."""
    base = base_noun(gguf_file=gguf_base)
    places = OllamaLocations(fake.address, (tmp_path / "elsewhere",))
    receipt = choose.deliver(replace(package, base=base), places, via="store")
    assert "does not list the model: it uses another store" in receipt.lines[-1]


def test_the_user_may_choose_the_daemon(fake, package):
    """``--via create`` fails where the daemon refuses, and writes no store."""
    fake.becomes("0.33.0", creates=False)
    with pytest.raises(AdapterRefusedError):
        choose.deliver(package, OllamaLocations(fake.address, (fake.store,)), via="create")
    assert (
        choose.plan_delivery(package, OllamaLocations(fake.address, (fake.store,)), via="create").via
        == "create"
    )


def test_the_user_may_choose_a_folder(package, models, tmp_path):
    """``--via folder`` looks the base up in a store, and needs a folder."""
    places = OllamaLocations(NOBODY, (models,), tmp_path / "out")
    assert choose.plan_delivery(package, places, via="folder").via == "folder"
    assert choose.deliver(package, places, via="folder").digest
    with pytest.raises(DestinationError, match="No output folder"):
        choose.deliver(package, OllamaLocations(NOBODY, (models,)), via="folder")


def test_a_gguf_base_goes_into_the_daemons_own_store(fake, package, gguf_base):
    """Out of a GGUF file a daemon guesses a prompt template; in its store the file keeps its own."""
    file_base = replace(package, base=base_noun(gguf_file=gguf_base))
    places = OllamaLocations(fake.address, (fake.store,))
    planned, receipt = choose.plan_delivery(file_base, places), choose.deliver(file_base, places)
    assert (planned.via, receipt.via) == ("store", "store")
    assert "keeps its prompt template" in planned.reason
    assert receipt.lines[1] == f"because {planned.reason}"
    assert not fake.asked("POST", "/api/create")


def test_a_template_of_the_users_may_as_well_be_created(fake, package, gguf_base):
    """Where the user sets the template there is nothing to guess."""
    file_base = replace(package, base=base_noun(gguf_file=gguf_base), template="{{ .Prompt }}!")
    assert choose.deliver(file_base, OllamaLocations(fake.address, (fake.store,))).via == "create"


@pytest.mark.parametrize(("mood", "told"), [("guesses", True), ("kind", False)])
def test_a_guessed_template_is_told(fake, package, gguf_base, mood, told):
    """With ``--via create`` the user is told that the daemon put a template over the file's own."""
    fake.mood = mood
    file_base = replace(package, base=base_noun(gguf_file=gguf_base))
    receipt = choose.deliver(file_base, OllamaLocations(fake.address, ()), via="create")
    assert any("guessed a prompt template" in line for line in receipt.lines) == told


@pytest.mark.parametrize("via", ["auto", "create", "pull", "store"])
def test_parameters_are_checked_before_anything_is_sent(fake, package, via):
    """What would make the model answer every request with an error is not sent."""
    package = replace(package, parameters={"temperature": "hot", "num_ctx": 4096, "warmth": 1})
    with pytest.raises(InputError, match="temperature must be a number, not 'hot'") as caught:
        choose.deliver(package, OllamaLocations(fake.address, (fake.store,)), via=via)
    assert "unknown parameter 'warmth'" in caught.value.what
    assert not fake.requests
