"""Which store a model goes into where several are there, and what is told about it."""

import os
from dataclasses import replace
from pathlib import Path

import fake_daemon
import pytest
from scratch_store import BASE_TAG, kinds_of, manifest_of, snapshot
from tiny_model import base_noun
from ways import NOBODY

from ollama_pack.deliver import choose, registration
from ollama_pack.errors import DestinationError, RefusedError
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.store_layout import manifest_path


@pytest.fixture
def empty(tmp_path):
    """Return a daemon that has no model yet, and guesses prompt templates."""
    (tmp_path / "empty").mkdir()
    with fake_daemon.running(tmp_path / "empty") as state:
        state.mood = "guesses"
        yield state


@pytest.fixture
def file_base(package, gguf_base):
    """Return a package on a GGUF file that says nothing about the prompt."""
    return replace(package, base=base_noun(gguf_file=gguf_base))


def test_an_empty_daemon_fetches_a_file_and_its_prompt_stays(empty, file_base, tmp_path):
    """Its store cannot be found before it has a model, so it pulls: nothing is guessed over the prompt."""
    receipt = choose.deliver(file_base, OllamaLocations(empty.address, (tmp_path / "other",)))
    assert receipt.via == "pull"
    assert kinds_of(manifest_of(empty.store, file_base.name.model)) == ["model", "adapter"]
    assert "keeps its prompt template if" in receipt.lines[1]
    assert not empty.asked("POST", "/api/create")


def test_a_guess_is_told_where_nothing_else_is_open(empty, file_base, monkeypatch):
    """A daemon elsewhere can only create: the model stays, and the note that its prompt was guessed."""
    monkeypatch.setattr(choose, "is_near", lambda _: False)
    receipt = choose.deliver(file_base, OllamaLocations(empty.address, ()))
    assert receipt.via == "create"
    assert "guessed a prompt template" in receipt.lines[-1]
    assert manifest_path(empty.store, file_base.name).exists()


def test_a_named_store_is_taken(fake, file_base, tmp_path):
    """A running daemon is not asked to create what the user wants in a store."""
    places = OllamaLocations(fake.address, (tmp_path / "mine",), named=True)
    planned, receipt = choose.plan_delivery(file_base, places), choose.deliver(file_base, places)
    assert (planned.via, planned.where) == ("store", str(tmp_path / "mine"))
    assert (receipt.via, receipt.where) == ("store", str(tmp_path / "mine"))
    assert receipt.lines[1] == "because --store names this store"
    assert not fake.asked("POST", "/api/create")


def test_a_running_daemons_store_comes_before_the_defaults(fake, package, file_base, tmp_path):
    """``--via store`` goes where the daemon looks, unless the user said where."""
    places = OllamaLocations(fake.address, (tmp_path / "home",), tmp_path / "out", defaulted=True)
    assert choose.plan_delivery(file_base, places, via="store").where == str(fake.store)
    assert choose.deliver(file_base, places, via="store").where == str(fake.store)
    assert choose.deliver(package, places, via="folder").digest
    named = places._replace(named=True)
    assert choose.deliver(file_base, named, via="store").where == str(tmp_path / "home")


def test_a_model_that_the_daemon_hides_is_told(fake, package, monkeypatch):
    """In the daemon's own store, but not in its list: nothing is said about another store."""
    monkeypatch.setattr(registration, "digest_in", lambda *_: "")
    receipt = choose.deliver(package, OllamaLocations(fake.address, (fake.store,)), via="store")
    assert receipt.lines[-1] == f"Ollama at {fake.address} does not list the model"


def test_a_daemon_that_fails_afterwards_undoes_nothing(fake, package, monkeypatch):
    """What was registered is told as registered, even if the daemon stumbles over its list."""

    def stumbles(*_):
        raise DestinationError("The daemon says: no such file")

    monkeypatch.setattr(registration, "digest_in", stumbles)
    receipt = choose.deliver(package, OllamaLocations(fake.address, (fake.store,)), via="store")
    assert receipt.lines[0].startswith("registered ")


@pytest.mark.parametrize("via", choose.DELIVERIES)
def test_a_model_does_not_replace_its_base(fake, package, via):
    """A name that is the base's, in whatever case, is refused before anything is written."""
    before = manifest_of(fake.store, BASE_TAG)
    same = replace(package, name=replace(package.name, model=BASE_TAG.upper()))
    places = OllamaLocations(fake.address, (fake.store,))
    for act in (choose.deliver, choose.plan_delivery):
        with pytest.raises(RefusedError, match="would replace its own base"):
            act(same, places, via=via)
    assert manifest_of(fake.store, BASE_TAG) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT TESTED: this system has no fork")
@pytest.mark.parametrize("answers", [False, True])
def test_a_store_of_another_user(models, package, fake, answers):
    """The store of a service cannot be written by its users: the command that would work is told."""
    before = snapshot(models)
    for path in (models, *models.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in (models, *models.parents):  # a store of a service can be looked into
        if path.owner() == Path.home().owner() and path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o055)
    places = OllamaLocations(fake.address if answers else NOBODY, (models,), named=True)
    choose.plan_delivery(package, places, via="auto")  # whatever is imported, the other user need not read it
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        said = "nothing"
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            choose.deliver(package, places, via="store")
        except DestinationError as error:
            said = str(error)
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.waitpid(process, 0)
    said = os.read(reading, 10_000).decode()
    os.close(reading)
    os.close(writing)
    for path in (models, *models.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert "You may not write into this store." in said
    if answers:
        assert "--via pull, without --store,  lets Ollama at" in said
    else:
        assert f"ollama-pack register {package.adapter.path.parent} {package.name} --via store" in said
        assert f"sudo -u {models.owner()} " in said
    assert snapshot(models) == before
