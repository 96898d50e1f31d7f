"""A part of the base that the model must not have: removed in every delivery that can, else told."""

import json
from dataclasses import replace

import pytest
from scratch_store import BASE_TAG, TEMPLATE, add_blob, manifest_of
from scratch_store import blob as blob_of

from ollama_pack.deliver import choose
from ollama_pack.ollama.locations import OllamaLocations

IMAGE = "application/vnd.ollama.image."
WAYS = ("create", "pull", "store", "auto")


@pytest.fixture
def places(fake):
    """Return a daemon whose base has a system prompt and a renderer, and its store."""
    path = fake.store / "manifests" / "registry.ollama.ai" / "library" / BASE_TAG / "latest"
    manifest = json.loads(path.read_bytes())
    config = json.loads(blob_of(fake.store, manifest["config"]["digest"]))
    changed = json.dumps({**config, "renderer": "tiny-renderer", "parser": "tiny-parser"}).encode()
    manifest["config"] |= add_blob(fake.store, changed)
    manifest["layers"].append({"mediaType": f"{IMAGE}system", **add_blob(fake.store, b"You are tiny.")})
    path.write_text(json.dumps(manifest))
    return OllamaLocations(fake.address, (fake.store,))


def parts(store, name):
    """Return kind → content of the texts of a model, and its renderer."""
    manifest = manifest_of(store, name)
    config = json.loads(blob_of(store, manifest["config"]["digest"]))
    texts = {layer["mediaType"].removeprefix(IMAGE): layer["digest"] for layer in manifest["layers"]}
    found = {kind: blob_of(store, texts[kind]).decode() for kind in ("system", "template") if kind in texts}
    return found | ({"renderer": config["renderer"]} if config.get("renderer") else {})


@pytest.mark.parametrize("via", WAYS)
@pytest.mark.parametrize("removed", [("system",), ("template",), ("template", "system")], ids="-".join)
def test_removed(fake, places, package, via, removed):
    """What is removed is gone; where the daemon keeps it, that is told with the deliveries that can."""
    receipt = choose.deliver(replace(package, removed=removed), places, via=via)
    base = {"system": "You are tiny.", "template": TEMPLATE, "renderer": "tiny-renderer"}
    told = [line for line in receipt.lines if "cannot remove it" in line]
    if via == "create":
        assert parts(fake.store, package.name.model) == base
        for name, line in zip(removed, told, strict=True):
            assert f"keeps the {name.upper()} of {BASE_TAG}" in line
        assert all("--via pull and --via store can" in line for line in told)
    else:
        assert told == []
        assert parts(fake.store, package.name.model) == {
            key: value for key, value in base.items() if key not in removed
        }


@pytest.mark.parametrize("via", WAYS)
def test_a_renderer_gives_way_to_a_template(fake, places, package, via):
    """Ollama ignores the TEMPLATE of a model with a renderer, so a TEMPLATE takes it away."""
    receipt = choose.deliver(replace(package, template="{{ .Prompt }}!"), places, via=via)
    found = parts(fake.store, package.name.model)
    assert found["template"] == "{{ .Prompt }}!"
    assert ("renderer" in found) == (via == "create")
    assert any("which is used instead of the TEMPLATE" in line for line in receipt.lines) == (via == "create")


def test_a_renderer_that_is_named_stays(fake, places, package):
    """An author who writes TEMPLATE and RENDERER gets both."""
    named = replace(package, template="{{ .Prompt }}!", renderer="other")
    choose.deliver(named, places, via="store")
    assert parts(fake.store, package.name.model)["renderer"] == "other"


def test_auto_creates_where_nothing_is_kept(fake, package):
    """A base that has no system prompt is no reason to take another delivery."""
    receipt = choose.deliver(replace(package, removed=("system",)), OllamaLocations(fake.address, ()))
    assert receipt.via == "create"


def test_auto_says_why(fake, places, package):
    """The reason for the delivery is told, in the plan too."""
    removing = replace(package, removed=("system",))
    planned = choose.plan_delivery(removing, places)
    receipt = choose.deliver(removing, places)
    assert (planned.via, receipt.via) == ("store", "store")
    assert "without a part of its base that /api/create would keep" in planned.reason
    elsewhere = OllamaLocations(fake.address, ())
    assert choose.plan_delivery(replace(package, removed=("system",)), elsewhere).via in ("store", "pull")


def test_a_folder_tells(package, models, tmp_path):
    """Of the files, ollama create would make another model, and the receipt says so."""
    receipt = choose.deliver(
        replace(package, removed=("system",)),
        OllamaLocations("http://127.0.0.1:9", (models,), tmp_path / "out"),
        via="folder",
    )
    assert any("ollama create -f would keep the SYSTEM" in line for line in receipt.lines)
