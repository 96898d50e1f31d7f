"""Lists of manifests, which Ollama 0.40 and later keep: each delivery takes the child that runs adapters."""

import json
from itertools import permutations
from pathlib import Path

import fake_daemon
import pytest
from fake_store import compact
from scratch_store import BASE_TAG, add_blob, upgrade

from ollama_pack.deliver import choose, store
from ollama_pack.deliver.base_check import digest_in
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.daemon_store import store_of
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.manifest import has_adapter, parse_manifest
from ollama_pack.ollama.manifest_list import read_children
from ollama_pack.ollama.manifest_probe import probe_manifest
from ollama_pack.ollama.models import StoreModels, find_model
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store import image_in_store
from ollama_pack.ollama.store_layout import blob_path, manifest_path, newer_path, read_manifest

LIST = "application/vnd.ollama.manifest.list.v2+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LICENSE = "application/vnd.ollama.image.license"
NAME = parse_name(BASE_TAG)


def child_for(models: Path, runner: str, *, inline: bool) -> dict:
    """Return a child of a list: the base's manifest, with a licence that names the engine."""
    manifest = json.loads(manifest_path(models, NAME).read_bytes())
    words = add_blob(models, f"for {runner}".encode())
    licence = {"mediaType": LICENSE, "digest": words["digest"], "size": words["size"]}
    whole = manifest | {"layers": [*manifest["layers"], licence], "runner": runner, "format": "gguf"}
    if inline:
        return whole
    digest = add_blob(models, compact(whole))["digest"]
    return {"mediaType": MANIFEST, "digest": digest, "runner": runner, "format": "gguf"}


def make_list(models: Path, runners: tuple[str, ...], *, inline: bool = False) -> list[dict]:
    """Make the base a list with a child for each engine, as Ollama 0.40 keeps it, and return the children."""
    children = [child_for(models, runner, inline=inline) for runner in runners]
    document = {"schemaVersion": 2, "mediaType": LIST, "manifests": children}
    manifest_path(models, NAME).write_bytes(compact(document))
    upgrade(models)
    return children


def engine_of(models: Path, layers) -> str:
    """Return which engine's child the layers are of."""
    licences = [blob_path(models, each.digest).read_text() for each in layers if each.media_type == LICENSE]
    return next(text.removeprefix("for ") for text in licences if text.startswith("for "))


@pytest.mark.parametrize("inline", [False, True], ids=["named", "written out"])
@pytest.mark.parametrize("runners", list(permutations(("mlx", "ggml", "llamacpp"))), ids=" ".join)
def test_the_child_that_runs_adapters(models, package, runners, inline):
    """Whatever the order, the child for llama.cpp is the base."""
    make_list(models, runners, inline=inline)
    store.write_to_store(package, models)
    registered = parse_manifest(read_manifest(models, package.name), where="")[1]
    assert engine_of(models, registered) == "llamacpp"
    assert has_adapter(registered)


@pytest.mark.parametrize("runner", ["ggml", "GGML", "ollama"])
def test_a_legacy_child_alone(models, package, runner):
    """Where no other one is there it is taken, as a plain manifest of those versions is."""
    make_list(models, ("mlx", runner))
    assert engine_of(models, image_in_store(models, BASE_TAG).layers) == runner


def test_a_child_for_another_machine(models):
    """A child that was not pulled is passed over, and if it is the last, that is told."""
    preferred, legacy = make_list(models, ("llamacpp", "ggml"))
    blob_path(models, preferred["digest"]).unlink()
    assert engine_of(models, image_in_store(models, BASE_TAG).layers) == "ggml"
    blob_path(models, legacy["digest"]).unlink()
    with pytest.raises(DestinationError, match="GGUF format is not in this store") as caught:
        image_in_store(models, BASE_TAG)
    assert "ollama pull" in caught.value.hint


def test_no_child_for_gguf(models):
    """A base that has none in GGUF takes no adapter."""
    make_list(models, ("mlx",))
    with pytest.raises(DestinationError, match="no variant in the GGUF format"):
        image_in_store(models, BASE_TAG)


@pytest.mark.parametrize(
    "children", [3, [3], [{"runner": "ggml"}], [{"runner": "ggml", "digest": "../../x"}]]
)
def test_a_damaged_list(children):
    """It is told as a damaged manifest is."""
    with pytest.raises(DestinationError, match="not the manifest of a model"):
        read_children(json.dumps({"mediaType": LIST, "manifests": children}).encode(), where="here")


@pytest.mark.parametrize("children_are", ["blobs", "manifests"])
@pytest.mark.parametrize("inline", [False, True], ids=["named", "written out"])
@pytest.mark.parametrize("runners", [("ggml", "llamacpp"), ("llamacpp",), ("ggml",)], ids=" ".join)
def test_a_daemon_tells_the_same(models, runners, inline, children_are):
    """However a daemon pushes the children of a list, what is learned is what its store has."""
    make_list(models, runners, inline=inline)
    with fake_daemon.running(models, "0.40") as fake, Daemon(fake.address) as daemon:
        fake.children_are = children_are
        assert probe_manifest(daemon, BASE_TAG) == image_in_store(models, BASE_TAG)


def test_auto_builds_on_a_list(models, package):
    """Ollama 0.40 pulls the model, and it is on the child for llama.cpp."""
    make_list(models, ("ggml", "llamacpp"))
    with fake_daemon.running(models, "0.40") as fake:
        receipt = choose.deliver(package, OllamaLocations(fake.address, ()))
        layers = parse_manifest(fake.models.read(package.name.display), where="")[1]
    assert receipt.via == "pull"
    assert engine_of(models, layers) == "llamacpp"


@pytest.mark.parametrize("inline", [False, True], ids=["named", "written out"])
def test_a_list_is_one_model(models, inline):
    """The daemon lists every child; to us it is one model, whose digest store and daemon agree about."""
    make_list(models, ("ggml", "mlx", "llamacpp"), inline=inline)
    with fake_daemon.running(models, "0.40") as fake, Daemon(fake.address) as daemon:
        assert [model.name for model in daemon.models()] == [f"{BASE_TAG}:latest"]
        found = find_model(StoreModels(models), NAME)
        assert found is not None
        assert digest_in(daemon, NAME) == found.digest
        assert store_of(daemon, OllamaLocations(fake.address, (models,))) == models


def test_layers_that_only_keep_blobs(models):
    """What Ollama 0.40 adds to the older entry so that no older version prunes its manifests is no layer."""
    path = manifest_path(models, NAME)
    before = image_in_store(models, BASE_TAG)
    document = json.loads(path.read_bytes())
    anchors = [{"mediaType": kind, "digest": f"sha256:{'a' * 64}", "size": 9} for kind in (LIST, MANIFEST)]
    path.write_text(json.dumps(document | {"layers": document["layers"] + anchors}))
    assert image_in_store(models, BASE_TAG) == before
    assert not newer_path(models, NAME).exists()
