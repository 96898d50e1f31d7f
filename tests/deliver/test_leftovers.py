"""Manifests of no bytes, which a full disk leaves: what is tidied, what is told, and what mends it."""

import os
import shlex
import subprocess
import time

import pytest
from scratch_store import BASE_TAG, upgrade
from ways import NOBODY

from ollama_pack.deliver import choose
from ollama_pack.deliver.leftovers import LEFTOVER_SECONDS, is_temporary
from ollama_pack.doctor.findings import MINOR, PROBLEM
from ollama_pack.doctor.store_scan import scan_store
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.api_errors import EmptyManifestError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.erase import erase_model
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path, newer_path

SERVED = f"127.0.0.1:4711/p{'0' * 32}/model:latest"
UNPROVED = "ada:latest-unproved-1a2b3c4d"


def empty(models, name, *, age=2 * LEFTOVER_SECONDS, newer=False):
    """Leave a manifest of no bytes, and return it."""
    path = (newer_path if newer else manifest_path)(models, parse_name(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize("name", [SERVED, UNPROVED])
@pytest.mark.parametrize("via", ["store", "pull"])
def test_ours_are_tidied(models, package, fake, name, via):
    """The next delivery removes what an earlier one left, though no daemon lists it."""
    left = empty(models, name)
    choose.deliver(package, OllamaLocations(fake.address, (models,)), via=via)
    assert is_temporary(parse_name(name))
    assert not left.exists()
    assert manifest_path(models, package.name).exists()


@pytest.mark.parametrize(
    ("name", "age"),
    [("theirs:latest", 3600), (SERVED, 0), (UNPROVED, 0)],
    ids=["theirs", "served", "unproved"],
)
def test_others_stay(models, package, name, age):
    """A name of the user's is not touched, and neither is one that may be being written."""
    left = empty(models, name, age=age)
    choose.deliver(package, OllamaLocations(NOBODY, (models,), named=True))
    assert left.exists()


@pytest.mark.parametrize("newer", [False, True], ids=["manifests", "manifests-v2"])
@pytest.mark.parametrize(("name", "level"), [("theirs", PROBLEM), (SERVED, MINOR), (UNPROVED, MINOR)])
def test_doctor_names_a_fix_that_works(models, name, level, newer):
    """The command is followed to the letter, and then nothing is found any more."""
    if newer:
        upgrade(models)
    left = empty(models, name, newer=newer)
    (finding,) = scan_store(models, "")[1]
    assert (finding.level, finding.about) == (level, str(parse_name(name)))
    assert "its manifest is empty" in finding.what
    assert "removes no unused blobs while it is there" in finding.what
    assert finding.fix.startswith(f"rm {shlex.quote(str(left))}")
    subprocess.run(shlex.split(finding.fix.partition(", and")[0]), check=True)
    assert scan_store(models, "")[1] == []


def test_a_daemon_is_helped_to_delete_it(fake, models):
    """It answers EOF; a copy of another model makes the manifest whole, and then it goes."""
    left = empty(models, SERVED)
    with Daemon(fake.address) as daemon:
        with pytest.raises(EmptyManifestError) as caught:
            daemon.delete(SERVED)
        assert "ollama-pack doctor" in caught.value.hint
        assert [model.name for model in daemon.models()] == [f"{BASE_TAG}:latest"]
        erase_model(daemon, SERVED)
        assert not left.exists()
        assert [model.name for model in daemon.models()] == [f"{BASE_TAG}:latest"]


def test_an_empty_base(models, package):
    """A base whose manifest is empty is told with the command that writes it again."""
    manifest_path(models, parse_name(BASE_TAG)).write_bytes(b"")
    with pytest.raises(DestinationError, match="not the manifest of a model") as caught:
        choose.deliver(package, OllamaLocations(NOBODY, (models,), named=True))
    assert caught.value.hint.startswith(f"ollama pull {BASE_TAG}")
