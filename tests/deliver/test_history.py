"""Earlier versions of a model: kept, listed, brought back and removed, wherever models are."""

from dataclasses import replace
from pathlib import Path

import pytest
from homes import speaks
from scratch_store import BASE_TAG, blob, manifest_of
from tiny_model import base_noun, make_base
from ways import NOBODY

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.deliver import choose, history
from ollama_pack.deliver.history import KEPT_VERSIONS
from ollama_pack.deliver.package import UNCHANGED, Package
from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.models import find_model
from ollama_pack.ollama.names import parse_name


@pytest.fixture(params=["adapter", "merged"])
def package(package: Package, request: pytest.FixtureRequest, tmp_path: Path) -> Package:
    """Return a package whose name no other test of the shared daemon has, of each of the two forms."""
    package = replace(package, name=parse_name(f"{package.name}-history"))
    if request.param == "adapter":
        return package
    file = make_base(tmp_path / "merged.gguf", seed=3, merged=True)
    return replace(package, adapter=None, base=read_base_gguf(file), merged_from=base_noun(tag=BASE_TAG))


def test_a_replaced_model_is_kept(home, package):
    """The receipt names it, and the earlier model is there, whole, under that name."""
    first = home.put(package)
    second = home.put(speaks(package, "Be new."))
    kept = f"{package.name}:latest-{first.digest[:8]}"
    assert second.lines[-1].startswith(f"the previous model is kept as {kept}")
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
            current, earlier = history.rollback(models, package.name)
        assert (current.digest, earlier.digest) == (expected.digest, other.digest)
        assert home.current(package.name) == expected.digest
        assert home.versions(package.name) == [other.digest]


def test_a_version_is_chosen_by_its_digest_or_tag(home, package):
    """The beginning of a digest is enough; the versions between stay."""
    receipts = [home.put(speaks(package, f"Be {number}.")) for number in range(3)]
    with home.models(package.name) as models:
        history.rollback(models, package.name, receipts[0].digest[:6])
    assert home.current(package.name) == receipts[0].digest
    assert set(home.versions(package.name)) == {receipts[1].digest, receipts[2].digest}
    with home.models(package.name) as models:
        history.rollback(models, package.name, f"latest-{receipts[1].digest[:8]}")
    assert home.current(package.name) == receipts[1].digest


def test_only_so_many_are_kept(home, package):
    """The oldest version goes."""
    receipts = [home.put(speaks(package, f"Be {number}.")) for number in range(KEPT_VERSIONS + 3)]
    kept = home.versions(package.name)
    assert len(kept) == KEPT_VERSIONS
    assert receipts[-1].digest not in kept
    assert receipts[0].digest not in kept


def test_no_such_version(home, package):
    """A model without versions, and a digest that is none of them, are told; nothing is changed."""
    first = home.put(package)
    with home.models(package.name) as models, pytest.raises(InputError, match="no earlier version"):
        history.rollback(models, package.name)
    second = home.put(speaks(package, "Be new."))
    with home.models(package.name) as models, pytest.raises(InputError, match="is not a version") as caught:
        history.rollback(models, package.name, "zzz")
    assert first.digest[:8] in caught.value.hint
    assert home.current(package.name) == second.digest


def test_a_removed_model_comes_back(home, package):
    """What was kept outlives the model, and can have its name again."""
    first = home.put(package)
    home.put(speaks(package, "Be new."))
    with home.models(package.name) as models:
        models.delete(package.name)
        current, earlier = history.rollback(models, package.name)
    assert (current.digest, earlier) == (first.digest, None)
    assert home.current(package.name) == first.digest


def test_remove(home, package):
    """The model and its versions are gone, and their base is not."""
    home.put(package)
    home.put(speaks(package, "Be new."))
    with home.models(package.name) as models:
        gone = history.remove_model(models, package.name)
    assert len(gone) == 2
    assert home.all(package.name) == set()
    assert home.current(parse_name(BASE_TAG))
    with home.models(package.name) as models, pytest.raises(InputError, match="no model"):
        history.remove_model(models, package.name)


def test_a_base_is_not_removed(home):
    """A model without an adapter is none of ours."""
    name = parse_name(BASE_TAG)
    with home.models(name) as models, pytest.raises(RefusedError, match="has no adapter"):
        history.remove_model(models, name)
    assert home.current(name)


def test_a_model_of_the_users_own_is_kept_for_good(home, package):
    """A model without an adapter that a build replaced comes back, and `remove` leaves it alone."""
    name = parse_name(f"own-{package.name}")
    with home.models(name) as models:
        models.copy(parse_name(BASE_TAG), name)
    own = home.current(name)
    home.put(replace(package, name=name))
    with home.models(name) as models:
        history.remove_model(models, name)
    assert home.versions(name) == [own]
    with home.models(name) as models:
        history.rollback(models, name)
        assert find_model(models, name).digest == own
        models.delete(name)


def test_a_model_of_the_users_own_outlives_any_number_of_builds(home, package):
    """A model without an adapter that a build replaced does not count, and is never the oldest."""
    name = parse_name(f"lasting-{package.name}")
    with home.models(name) as models:
        models.copy(parse_name(BASE_TAG), name)
    own = home.current(name)
    receipts = [
        home.put(replace(speaks(package, f"Be {number}."), name=name)) for number in range(KEPT_VERSIONS + 2)
    ]
    kept = home.versions(name)
    assert own in kept
    assert len(kept) == KEPT_VERSIONS + 1
    gone = receipts[0].digest
    assert gone not in kept
    assert any(f"{name}:latest-{gone[:8]}" in line and "removed" in line for line in receipts[-1].lines)
    with home.models(name) as models:
        history.remove_model(models, name)
        history.rollback(models, name)
        models.delete(name)


def test_models_with_long_tags_keep_their_own(home, package):
    """Two tags that begin alike share no versions: what is removed of one is not the other's."""
    names = [parse_name(f"{package.name.model}:{'t' * 75}{end}") for end in ("one", "two")]
    for name in names:
        for words in ("Be old.", "Be new."):
            home.put(replace(speaks(package, f"{words} {name.tag[-3:]}"), name=name))
    assert [len(home.versions(name)) for name in names] == [1, 1]
    with home.models(names[0]) as models:
        assert len(history.remove_model(models, names[0])) == 2
    assert len(home.versions(names[1])) == 1
    assert home.current(names[1])


def test_a_failure_keeps_nothing(fake, package):
    """Where nothing was replaced there is no version."""
    places = OllamaLocations(fake.address, ())
    choose.deliver(package, places)
    fake.mood = "fails"
    with pytest.raises(DestinationError):
        choose.deliver(speaks(package, "Be new."), places, via="create")
    with models_at(places, package.name) as models:
        assert [str(e.name) for e in models.entries() if e.name.model == package.name.model] == [
            str(package.name)
        ]


def test_without_daemon_and_store(tmp_path):
    """Nowhere to look is told."""
    places = OllamaLocations(NOBODY, (tmp_path / "none",))
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
            history.replace_keeping_version(models, package.name, replaced_and_failed)
    assert home.versions(package.name) == [first.digest]
