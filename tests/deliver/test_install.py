"""A whole model that is installed as it is: into a store, or by a daemon that pulls it from this process."""

from pathlib import Path

import fake_daemon
import pytest
from scratch_store import BASE_TAG

from ollama_pack.deliver.install import has_model, install_image
from ollama_pack.deliver.store import write_to_store
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.api_errors import UnreachableError
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import stored_image
from ollama_pack.ollama.store_layout import blob_path, digest_of_bytes, read_manifest

NOBODY = "http://127.0.0.1:9"
NAME = parse_name("ada:1")


@pytest.fixture
def image(models, package):
    """Return a model with its base, as another store has it."""
    write_to_store(package, models)
    return stored_image(models, package.name)


@pytest.fixture
def fetched(models):
    """Return a function that fetches a blob from the other store, and what it fetched."""
    asked = []

    def fetch(layer) -> Path:
        asked.append(layer.digest)
        return blob_path(models, layer.digest)

    fetch.asked = asked
    return fetch


def bare(image):
    """Return a model of which no blob is here, as the manifest in a registry describes it."""
    layers = tuple(each._replace(file=None) for each in image.layers)
    return image._replace(layers=layers, config=image.config._replace(file=None))


def test_into_a_store(image, fetched, tmp_path):
    """Each blob is fetched once, the manifest keeps its bytes, and a second time nothing is fetched."""
    places = OllamaLocations(NOBODY, (tmp_path / "new",), named=True)
    assert not has_model(NAME, places, "auto")
    receipt = install_image(bare(image), NAME, places, "auto", fetched)
    assert (receipt.via, receipt.digest, receipt.name) == ("store", image.digest, "ada:1")
    assert read_manifest(tmp_path / "new", NAME) == image.manifest
    assert sorted(fetched.asked) == sorted({each.digest for each in (image.config, *image.layers)})
    fetched.asked.clear()
    install_image(bare(image), NAME, places, "store", fetched)
    assert (fetched.asked, has_model(NAME, places, "store")) == ([], True)


@pytest.mark.parametrize("via", ["auto", "pull"])
def test_by_a_daemon(image, fetched, tmp_path, via):
    """A daemon pulls the very manifest under the real name, and gets the blobs that it lacks alone."""
    with fake_daemon.running(tmp_path / "daemon") as daemon:
        places = OllamaLocations(daemon.address, ())
        assert not has_model(NAME, places, via)
        receipt = install_image(bare(image), NAME, places, via, fetched)
        assert (receipt.via, receipt.served, has_model(NAME, places, via)) == ("pull", True, True)
        assert read_manifest(daemon.store, NAME) == image.manifest
        fetched.asked.clear()
        install_image(bare(image), parse_name("grace"), places, via, fetched)
        assert fetched.asked == []


def test_what_is_there_is_kept_as_a_version(image, fetched, models, tmp_path):
    """A model that had the name stays, under the name of a version."""
    places = OllamaLocations(NOBODY, (tmp_path / "new",), named=True)
    base = stored_image(models, parse_name(BASE_TAG))
    install_image(bare(base), NAME, places, "store", fetched)
    install_image(bare(image), NAME, places, "store", fetched)
    kept = list((tmp_path / "new" / "manifests" / "registry.ollama.ai" / "library" / "ada").iterdir())
    assert len(kept) == 2
    assert {digest_of_bytes(path.read_bytes()) for path in kept} == {
        digest_of_bytes(base.manifest),
        digest_of_bytes(image.manifest),
    }


def test_bytes_that_are_not_those_of_the_digest(image, tmp_path):
    """A blob with other bytes is refused, and neither blobs nor a model stay."""
    (tmp_path / "lie").write_bytes(b"lie")
    places = OllamaLocations(NOBODY, (tmp_path / "new",), named=True)
    with pytest.raises(DestinationError):
        install_image(bare(image), NAME, places, "store", lambda _: tmp_path / "lie")
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


def test_a_daemon_elsewhere(image, fetched, monkeypatch, tmp_path):
    """A daemon on another machine cannot pull from this one, and one that is named is not replaced."""
    with fake_daemon.running(tmp_path / "daemon") as daemon:
        monkeypatch.setattr("ollama_pack.deliver.pull.is_near", lambda _: False)
        with pytest.raises(UnreachableError):
            install_image(bare(image), NAME, OllamaLocations(daemon.address, ()), "auto", fetched)
    places = OllamaLocations(NOBODY, (tmp_path / "new",), host_named=True)
    with pytest.raises(DestinationError, match="OLLAMA_HOST names it"):
        install_image(bare(image), NAME, places, "auto", fetched)
    assert fetched.asked == []
