"""What `doctor` sees of daemons, stores and models, and what it says to do."""

import json
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_daemon
import pytest
from characters import CHARACTERS
from scratch_store import BASE_TAG, add_base, add_blob, manifest_of, upgrade
from tiny_model import base_noun, make_adapter, make_header
from ways import NOBODY

from ollama_pack.deliver import choose, store
from ollama_pack.doctor import examine as doctor
from ollama_pack.doctor import store_scan as doctor_store
from ollama_pack.doctor.examine import examine
from ollama_pack.doctor.findings import MINOR, PROBLEM
from ollama_pack.doctor.store_scan import scan_store
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.locations import OllamaLocations
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path


def opened(seen):
    """Return the deliveries that work."""
    return {way.via for way in seen.ways if way.open}


@pytest.mark.parametrize("character", CHARACTERS)
def test_the_ways_of_each_generation(character, models):
    """Version, deliveries, store and its layout are those of the daemon that answers."""
    with fake_daemon.running(models, character) as fake:
        seen = examine(OllamaLocations(fake.address, (Path("/nonexistent"),)))
        requests = {(method, path) for method, path, _ in fake.requests}
    assert seen.version == CHARACTERS[character].version
    assert opened(seen) == {"pull", "store"} | ({"create"} if CHARACTERS[character].creates else set())
    assert [each.path for each in seen.stores] == [models]
    assert seen.stores[0].layout == ("manifests-v2" if CHARACTERS[character].newer else "manifests")
    reads = {("GET", "/api/version"), ("GET", "/api/tags"), ("GET", "/api/ps"), ("POST", "/api/show")}
    assert requests <= reads | {("POST", "/api/generate")}


def test_without_anything(tmp_path):
    """No daemon and no store: one could be made, and the daemon's absence is told."""
    seen = examine(OllamaLocations(NOBODY, (tmp_path / "models",)))
    assert opened(seen) == {"store"}
    assert "can be created" in seen.ways[-1].why
    assert [(found.level, found.what) for found in seen.findings] == [(MINOR, "no Ollama daemon answers")]


def test_a_named_daemon_that_is_down(models):
    """It is a problem, since a build stops; where no daemon is named the same is a warning."""
    seen = examine(OllamaLocations(NOBODY, (models,), host_named=True))
    assert [(found.level, found.about) for found in seen.findings] == [(PROBLEM, NOBODY)]
    assert "OLLAMA_HOST names it" in seen.findings[0].what
    assert "--via store" in seen.findings[0].fix


def test_no_way_in(tmp_path):
    """A store that is a file is none, and with no daemon nothing is left but a folder."""
    (tmp_path / "file").touch()
    seen = examine(OllamaLocations(NOBODY, (tmp_path / "file" / "models",)))
    assert opened(seen) == set()
    assert seen.findings[0].level == PROBLEM
    assert "--via folder" in seen.findings[0].fix


def test_a_daemon_elsewhere_does_not_pull(fake, monkeypatch):
    """A daemon on another machine cannot fetch from this one's loopback."""
    monkeypatch.setattr(doctor, "is_near", lambda _: False)
    assert "pull" not in opened(examine(OllamaLocations(fake.address, ())))


def test_something_else_answers(models):
    """A port where something else listens is not called silent."""
    handler = type("Handler", (BaseHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        seen = examine(OllamaLocations(f"http://127.0.0.1:{server.server_port}", (models,)))
        server.shutdown()
        thread.join()
    assert seen.findings[0].what == "the program at this address is not an Ollama daemon"
    assert opened(seen) == {"store"}


def test_little_room(models, monkeypatch):
    """A disk that is nearly full is told."""
    monkeypatch.setattr(doctor, "LITTLE_ROOM", 1 << 62)
    seen = examine(OllamaLocations(NOBODY, (models,)))
    assert any("MB are free" in found.what for found in seen.findings)


def test_an_old_release(fake):
    """An Ollama from before GGUF adapters has to be updated."""
    fake.becomes("0.2.8")
    seen = examine(OllamaLocations(fake.address, ()))
    assert any(found.what == "it does not support adapters in GGUF" for found in seen.findings)


def test_a_healthy_model(models, package):
    """A model that runs is counted, and nothing is said of it; in either layout."""
    store.write_to_store(package, models)
    for _ in range(2):
        seen, findings = scan_store(models, "0.33.0")
        assert (seen.models, seen.adapted, findings) == (2, (str(package.name),), [])
        upgrade(models)
    assert seen.layout == "manifests-v2"


def _broken(models: Path, package, tmp_path: Path, case: str) -> None:
    """Put a model into the store that does not run, as `case` says."""
    if case == "own form":
        add_base(models, make_header(tmp_path / "o.gguf", "gptoss", whole=True), tag="other")
        adapter = make_adapter(tmp_path / "own.gguf", arch="gpt-oss")
        store.write_to_store(replace(package, adapter=adapter, base=base_noun(tag="other")), models)
        return
    if case == "another engine":
        manifest = json.loads(json.dumps(manifest_of(models, BASE_TAG)))
        adapter = add_blob(models, package.adapter.path.read_bytes())
        manifest["layers"] = [
            {**manifest["layers"][0], "mediaType": "application/vnd.ollama.image.tensor"},
            {"mediaType": "application/vnd.ollama.image.adapter", **adapter},
        ]
        path = manifest_path(models, package.name)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(manifest))
        return
    store.write_to_store(package, models)
    path = manifest_path(models, package.name)
    if case == "another base":
        _exchange(models, package, 0, make_header(tmp_path / "o.gguf", "qwen2"))
    if case == "no GGUF":
        (tmp_path / "ggla").write_bytes(b"algg" + bytes(60))
        _exchange(models, package, -2, tmp_path / "ggla")
    if case == "damaged manifest":
        path.write_text("{")
    if case == "lost blob":
        (models / "blobs" / package.adapter.digest.replace(":", "-")).unlink()
    if case == "stacked":
        store.write_to_store(
            replace(package, name=parse_name("two"), base=base_noun(tag=str(package.name))), models
        )
    if case == "left behind":
        left = parse_name(f"127.0.0.1:4711/p{'0' * 32}/model")
        target = manifest_path(models, left)
        target.parent.mkdir(parents=True)
        path.rename(target)


def _exchange(models: Path, package, index: int, file: Path) -> None:
    """Let a model have another file as one of its layers."""
    path = manifest_path(models, package.name)
    manifest = json.loads(path.read_bytes())
    manifest["layers"][index] |= add_blob(models, file.read_bytes())
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("case", "level", "says"),
    [
        ("another base", PROBLEM, "the adapter is for llama, the base is qwen2"),
        ("own form", MINOR, "does not load it with an adapter"),
        ("no GGUF", PROBLEM, "its adapter is not a GGUF LoRA"),
        ("another engine", PROBLEM, "Ollama ignores the adapter"),
        ("damaged manifest", PROBLEM, "not the manifest of a model"),
        ("lost blob", PROBLEM, "is missing"),
        ("stacked", MINOR, "it has 2 adapters"),
        ("left behind", MINOR, "a killed build left this model behind"),
    ],
)
def test_a_model_that_does_not_run(case, level, says, models, package):
    """Each is found, with its name, what is wrong, and a command that mends it."""
    _broken(models, package, models.parent, case)
    findings = scan_store(models, "0.40.0")[1]
    found = [finding for finding in findings if says in finding.what]
    assert len(found) == 1, findings
    assert found[0].level == level
    assert any(word in found[0].fix for word in ("ollama-pack", "ollama rm", "rm /", "--base"))


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "deep", "dangling link", "link loop", "huge", "list", "path"])
def test_an_entry_that_is_no_manifest(kind, newer, models, package):
    """Each is one problem with the command that takes it away; nothing hangs, and it counts as no model."""
    store.write_to_store(package, models)
    if newer:
        upgrade(models)
    folder = models / ("manifests-v2/ollama.com" if newer else "manifests/registry.ollama.ai") / "library/bad"
    folder.mkdir(parents=True)
    path = folder / "latest"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "deep":
        path.write_text("[" * 100_000)
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "link loop":
        path.symlink_to("latest")
    elif kind == "huge":
        path.touch()
        os.truncate(path, 40 << 30)
    elif kind == "path":
        layer = {"mediaType": "application/vnd.ollama.image.adapter", "digest": "sha256:../../x", "size": 1}
        path.write_text(json.dumps({"config": layer, "layers": [layer]}))
    else:
        path.write_text("[]")
    seen, findings = scan_store(models, "")
    (finding,) = findings
    assert (finding.level, finding.about) == (PROBLEM, "bad")
    assert f"rm {path}" in finding.fix
    assert seen.models == 2
    if kind == "path":  # Ollama lists it, as it looks at no digest then
        return
    with models_at(OllamaLocations(NOBODY, (models,), named=True), parse_name("bad")) as there:
        assert {str(entry.name) for entry in there.entries()} == {BASE_TAG, str(package.name)}


def test_directories_where_manifests_would_be(models, package):
    """A directory at a manifest's depth, and the older public name in the newer layout, are no models."""
    store.write_to_store(package, models)
    upgrade(models)
    (models / "manifests/registry.ollama.ai/library/deep/er").mkdir(parents=True)
    stray = models / "manifests-v2/registry.ollama.ai/library/stray/latest"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(manifest_path(models, package.name).read_bytes())
    seen, findings = scan_store(models, "")
    assert (seen.models, findings) == (2, [])


def test_a_fix_stays_in_its_store(models, package):
    """What is found in a store that no daemon reads is mended in that store, not in the daemon's."""
    for words in ("Be old.", "Be new."):
        store_of_it = OllamaLocations(NOBODY, (models,), named=True)
        choose.deliver(replace(package, system=words), store_of_it)
    (models / "blobs" / package.adapter.digest.replace(":", "-")).unlink()
    findings = examine(store_of_it).findings
    problems = {finding.about: finding.fix for finding in findings if finding.level == PROBLEM}
    (version,) = problems.keys() - {str(package.name)}
    assert f"ollama-pack build DIR {package.name} --store {models}" in problems[str(package.name)]
    assert problems[version] == f"it is an earlier version: ollama-pack remove {version} --store {models}"


def test_a_daemon_that_does_not_list(fake, models):
    """A daemon that answers and cannot list its models is a problem, and not fine."""
    fake.mood = "cannot list"
    findings = examine(OllamaLocations(fake.address, (models,))).findings
    assert findings[0].level == PROBLEM
    assert findings[0].about.startswith("Ollama")


def test_what_ollama_converted_itself(models, package, monkeypatch):
    """An adapter that Ollama's own converter scrambled loads, and is wrong all the same."""
    monkeypatch.setattr(doctor_store, "scrambled_by_ollama", lambda _: True)
    store.write_to_store(package, models)
    assert any("wrong order" in finding.what for finding in scan_store(models, "")[1])


def test_models_that_share_a_runner(models, package, gguf_base):
    """Same weights and adapter, and only others have a TEMPLATE: each is named with the one it may follow."""
    package = replace(package, base=base_noun(gguf_file=gguf_base))
    templates = {"own": {"template": "{{ .Prompt }}!"}, "third": {"template": "{{ .Prompt }}?"}}
    names = {"plain": {}, "same": {"system": "Be Ada."}, **templates}
    for name, fields in names.items():
        store.write_to_store(replace(package, name=parse_name(name), **fields), models)
    findings = scan_store(models, "")[1]
    assert [(finding.level, finding.about) for finding in findings] == [(MINOR, "plain"), (MINOR, "same")]
    assert "shares a runner with own, which has a TEMPLATE and this model has none" in findings[0].what
    assert findings[0].fix == "ollama stop own  before you run plain"


def test_an_adapter_of_another_shape(models, package, tmp_path):
    """The first reasons are told, and how many more there are."""
    store.write_to_store(package, models)
    _exchange(models, package, 0, make_header(tmp_path / "o.gguf", "llama"))
    (finding,) = scan_store(models, "")[1]
    assert "the base has no blk.0.attn_v.weight" in finding.what
    assert finding.what.endswith(", and 1 more")
