"""Earlier versions of a model: kept, listed, brought back and removed, wherever models are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import fake_daemon
import pytest
from scratch_store import BASE_TAG, blob, manifest_of, upgrade
from ways import NOBODY, live

from ollama_pack.destinations import choose, history
from ollama_pack.destinations.history import KEPT
from ollama_pack.destinations.models import models_at
from ollama_pack.destinations.package import UNCHANGED, Package
from ollama_pack.destinations.places import Places
from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.names import ModelName, blob_path, parse_name
from ollama_pack.parts import Receipt


@dataclass(frozen=True)
class Home:
    """Where models are: how one gets there, how they are looked at, and the store they lie in."""

    places: Places
    store: Path

    def put(self, package: Package) -> Receipt:
        """Put a package there."""
        return choose.put(package, self.places)

    @contextmanager
    def models(self, name: ModelName) -> Iterator[history.Models]:
        """Look at what is there."""
        with models_at(self.places, name) as models:
            yield models

    def versions(self, name: ModelName) -> list[str]:
        """Return the digests of the earlier versions."""
        with self.models(name) as models:
            return [entry.digest for entry in history.versions(models, name)]

    def current(self, name: ModelName) -> str:
        """Return the digest of the model."""
        with self.models(name) as models:
            found = history.find(models, name)
        return found.digest if found else ""

    def all(self, name: ModelName) -> set[str]:
        """Return every name that there is of this model."""
        with self.models(name) as models:
            return {str(entry.name) for entry in models.entries() if entry.name.model == name.model}


@pytest.fixture(
    params=[live(whom) for whom in ("older layout", "newer layout", "fake 0.33", "fake 0.40", "real daemon")]
)
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    (whom,) = request.param
    if whom == "real daemon":
        server = request.getfixturevalue("real")
        yield Home(Places(server.address, ()), server.store)
        return
    models = request.getfixturevalue("models")
    if whom.endswith("layout"):
        if whom == "newer layout":
            upgrade(models)
        yield Home(Places(NOBODY, (models,), named=True), models)
        return
    with fake_daemon.running(models, whom.removeprefix("fake ")) as server:
        yield Home(Places(server.address, ()), models)


@pytest.fixture
def package(package: Package, request: pytest.FixtureRequest) -> Package:
    """Return a package whose name no other test of the shared daemon has."""
    return replace(package, name=parse_name(f"{package.name}-history"))


def speaks(package: Package, words: str) -> Package:
    """Return another model of the same name."""
    return replace(package, system=words)


def test_a_replaced_model_is_kept(home, package):
    """The receipt names it, and the earlier model is there, whole, under that name."""
    first = home.put(package)
    second = home.put(speaks(package, "Be new."))
    kept = f"{package.name}:latest-{first.digest[:8]}"
    assert second.lines[-1].startswith(f"the earlier one is kept as {kept}")
    assert home.versions(package.name) == [first.digest]
    assert home.current(package.name) == second.digest
    layers = manifest_of(home.store, package.name.model, f"latest-{first.digest[:8]}")["layers"]
    assert all(len(blob(home.store, layer["digest"])) == layer["size"] for layer in layers)


def test_the_very_same_keeps_nothing(home, package):
    """Putting a model again makes no version of it, and says that nothing changed."""
    home.put(package)
    assert UNCHANGED in home.put(package).lines
    assert home.versions(package.name) == []
    assert home.all(package.name) == {str(package.name)}


def test_roll_back_and_forth(home, package):
    """A name goes back to what it was, and again to what it became; nothing is lost on the way."""
    first, second = home.put(package), home.put(speaks(package, "Be new."))
    for expected, other in ((first, second), (second, first)):
        with home.models(package.name) as models:
            current, earlier = history.roll_back(models, package.name)
        assert (current.digest, earlier.digest) == (expected.digest, other.digest)
        assert home.current(package.name) == expected.digest
        assert home.versions(package.name) == [other.digest]


def test_a_version_is_chosen_by_its_digest_or_tag(home, package):
    """The beginning of a digest is enough; the versions between stay."""
    receipts = [home.put(speaks(package, f"Be {number}.")) for number in range(3)]
    with home.models(package.name) as models:
        history.roll_back(models, package.name, receipts[0].digest[:6])
    assert home.current(package.name) == receipts[0].digest
    assert set(home.versions(package.name)) == {receipts[1].digest, receipts[2].digest}
    with home.models(package.name) as models:
        history.roll_back(models, package.name, f"latest-{receipts[1].digest[:8]}")
    assert home.current(package.name) == receipts[1].digest


def test_only_so_many_are_kept(home, package):
    """The oldest version goes."""
    receipts = [home.put(speaks(package, f"Be {number}.")) for number in range(KEPT + 3)]
    kept = home.versions(package.name)
    assert len(kept) == KEPT
    assert receipts[-1].digest not in kept
    assert receipts[0].digest not in kept


def test_no_such_version(home, package):
    """A model without versions, and a digest that is none of them, are told; nothing is changed."""
    first = home.put(package)
    with home.models(package.name) as models, pytest.raises(InputError, match="no earlier version"):
        history.roll_back(models, package.name)
    second = home.put(speaks(package, "Be new."))
    with home.models(package.name) as models, pytest.raises(InputError, match="is no version") as caught:
        history.roll_back(models, package.name, "zzz")
    assert first.digest[:8] in caught.value.hint
    assert home.current(package.name) == second.digest


def test_a_removed_model_comes_back(home, package):
    """What was kept outlives the model, and can have its name again."""
    first = home.put(package)
    home.put(speaks(package, "Be new."))
    with home.models(package.name) as models:
        models.delete(package.name)
        current, earlier = history.roll_back(models, package.name)
    assert (current.digest, earlier) == (first.digest, None)
    assert home.current(package.name) == first.digest


def test_remove(home, package):
    """The model and its versions are gone, and their base is not."""
    home.put(package)
    home.put(speaks(package, "Be new."))
    with home.models(package.name) as models:
        gone = history.remove(models, package.name)
    assert len(gone) == 2
    assert home.all(package.name) == set()
    assert home.current(parse_name(BASE_TAG))
    with home.models(package.name) as models, pytest.raises(InputError, match="no model"):
        history.remove(models, package.name)


def test_a_base_is_not_removed(home):
    """A model without an adapter is none of ours."""
    name = parse_name(BASE_TAG)
    with home.models(name) as models, pytest.raises(RefusedError, match="has no adapter"):
        history.remove(models, name)
    assert home.current(name)


def test_a_model_of_the_users_own_is_kept_for_good(home, package):
    """A model without an adapter that a build replaced comes back, and `remove` leaves it alone."""
    name = parse_name(f"own-{package.name}")
    with home.models(name) as models:
        models.copy(parse_name(BASE_TAG), name)
    own = home.current(name)
    home.put(replace(package, name=name))
    with home.models(name) as models:
        history.remove(models, name)
    assert home.versions(name) == [own]
    with home.models(name) as models:
        history.roll_back(models, name)
        assert history.find(models, name).digest == own
        models.delete(name)


def test_a_model_of_the_users_own_outlives_any_number_of_builds(home, package):
    """A model without an adapter that a build replaced does not count, and is never the oldest."""
    name = parse_name(f"lasting-{package.name}")
    with home.models(name) as models:
        models.copy(parse_name(BASE_TAG), name)
    own = home.current(name)
    receipts = [home.put(replace(speaks(package, f"Be {number}."), name=name)) for number in range(KEPT + 2)]
    kept = home.versions(name)
    assert own in kept
    assert len(kept) == KEPT + 1
    gone = receipts[0].digest
    assert gone not in kept
    assert any(f"{name}:latest-{gone[:8]}" in line and "removed" in line for line in receipts[-1].lines)
    with home.models(name) as models:
        history.remove(models, name)
        history.roll_back(models, name)
        models.delete(name)


def test_models_with_long_tags_keep_their_own(home, package):
    """Two tags that begin alike share no versions: what is removed of one is not the other's."""
    names = [parse_name(f"{package.name.model}:{'t' * 75}{end}") for end in ("one", "two")]
    for name in names:
        for words in ("Be old.", "Be new."):
            home.put(replace(speaks(package, f"{words} {name.tag[-3:]}"), name=name))
    assert [len(home.versions(name)) for name in names] == [1, 1]
    with home.models(names[0]) as models:
        assert len(history.remove(models, names[0])) == 2
    assert len(home.versions(names[1])) == 1
    assert home.current(names[1])


def test_no_way_back_to_what_would_not_run(home, package):
    """A version whose adapter is gone does not get the name; the model stays what it is."""
    first = home.put(package)
    second = home.put(speaks(package, "Be new."))
    lost = blob_path(home.store, package.adapter.digest)
    kept = lost.read_bytes()
    lost.unlink()
    try:
        with home.models(package.name) as models, pytest.raises(DestinationError, match="is not there"):
            history.roll_back(models, package.name)
    finally:
        lost.write_bytes(kept)
    assert home.current(package.name) == second.digest
    assert home.versions(package.name) == [first.digest]


@pytest.mark.parametrize("newer", [False, True])
def test_no_way_back_to_what_is_cut_off(newer, models, package):
    """In a store the size of each blob is seen too."""
    if newer:
        upgrade(models)
    places = Places(NOBODY, (models,), named=True)
    choose.put(package, places)
    second = choose.put(speaks(package, "Be new."), places)
    file = blob_path(models, package.adapter.digest)
    file.write_bytes(file.read_bytes()[:-1])
    with models_at(places, package.name) as there:
        with pytest.raises(DestinationError, match=r"has \d+ of \d+ bytes"):
            history.roll_back(there, package.name)
        assert history.find(there, package.name).digest == second.digest


def test_a_failure_keeps_nothing(fake, package):
    """Where nothing was replaced there is no version."""
    places = Places(fake.address, ())
    choose.put(package, places)
    fake.mood = "fails"
    with pytest.raises(DestinationError):
        choose.put(speaks(package, "Be new."), places)
    with models_at(places, package.name) as models:
        assert [str(e.name) for e in models.entries() if e.name.model == package.name.model] == [
            str(package.name)
        ]


def test_without_daemon_and_store(tmp_path):
    """Nowhere to look is told."""
    places = Places(NOBODY, (tmp_path / "none",))
    with pytest.raises(DestinationError, match="no store"), models_at(places, parse_name("ada")):
        pass


def test_a_failure_after_the_replacement_keeps(home, package):
    """What fails when the name is taken already has not lost what was there: it is a version."""
    first, other = home.put(package), parse_name(f"{package.name}-other")
    home.put(replace(speaks(package, "Be new."), name=other))
    with home.models(package.name) as models:

        def replaced_and_failed():
            models.copy(other, package.name)
            raise DestinationError("The daemon broke off.")

        with pytest.raises(DestinationError):
            history.replacing(models, package.name, replaced_and_failed)
    assert home.versions(package.name) == [first.digest]
