"""A model in a registry with its base: what Ollama pulls by itself, and the release that belongs to it."""

import hashlib
import json

import httpx
import pytest
from oci_registry import stand_in_registry
from real_registry import shared
from terminal import digest_in, model_in, run, tree

from ollama_pack.pipeline.release.outgoing import own_repository
from ollama_pack.registry.reference import parse_oci_reference

pytest.importorskip("oras", reason="the extra `oci` is not installed")

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
DIGEST = f"sha256:{'0' * 64}"
INDEX = "application/vnd.oci.image.index.v1+json"


def get(host: str, kind: str, name: str, accept: str = DOCKER, path: str = "team/ada") -> httpx.Response:
    """Return what a registry has, as any other client would ask for it."""
    return httpx.get(f"http://{host}/v2/{path}/{kind}/{name}", headers={"Accept": accept}, trust_env=False)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a function that goes on with another, empty store, and returns it."""

    def go():
        monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "other"))
        return tmp_path / "other"

    return go


def test_a_release_with_its_base(pushable, distribution, models, elsewhere):
    """docker-registry: a machine that has nothing gets base and model from one place; each as it was."""
    host = distribution()
    place = f"oci://{host}/team/ada:1"
    assert run("register", pushable, "ada:1", "--via", "store").code == 0
    pushed = run("push", pushable, place, "--with-base", "--json")
    assert pushed.code == 0, pushed.stderr
    assert run("push", pushable, place, "--with-base", "--json").document["bytes_sent"] == 0
    model = get(host, "manifests", "1")
    assert f"sha256:{hashlib.sha256(model.content).hexdigest()}" == pushed.document["ollama"]
    assert pushed.document["ollama"] == f"sha256:{digest_in(models, 'ada', '1')}"
    assert pushed.document["base"] == f"sha256:{digest_in(models, 'tiny')}"
    before = model_in(models, "tiny"), model_in(models, "ada", "1")
    other = elsewhere()
    pulled = run("pull", place, "--via", "store")
    assert pulled.code == 0, pulled.stderr
    assert (model_in(other, "tiny"), model_in(other, "ada", "1")) == before


def test_every_blob_is_there_for_ollama(pushable, distribution):
    """What the tag names is Ollama's own manifest, and the repository has each of its blobs."""
    host = distribution()
    assert run("push", pushable, f"oci://{host}/team/ada:1", "--with-base").code == 0
    answer = get(host, "manifests", "1")
    assert answer.headers["Content-Type"] == DOCKER
    manifest = answer.json()
    kinds = [each["mediaType"].rpartition(".")[2] for each in manifest["layers"]]
    assert kinds.count("model") == kinds.count("adapter") == 1
    for each in (manifest["config"], *manifest["layers"]):
        content = get(host, "blobs", each["digest"]).content
        assert (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content)) == (
            each["digest"],
            each["size"],
        )


def test_the_release_belongs_to_the_model(pushable, distribution, tmp_path):
    """Whoever has the manifest of the model finds the release and its record, without a tag of theirs."""
    host = distribution()
    pushed = run("push", pushable, f"oci://{host}/team/ada:1", "--with-base", "--json").document
    model = get(host, "manifests", "1")
    listed = get(host, "manifests", pushed["ollama"].replace(":", "-"), INDEX).json()["manifests"]
    assert {each["artifactType"] for each in listed} == {
        "application/vnd.cncf.model.manifest.v1+json",
        "application/vnd.ollama-pack.record.v1",
    }
    for each in listed:
        manifest = get(host, "manifests", each["digest"], OCI).json()
        assert manifest["subject"] == {
            "mediaType": DOCKER,
            "digest": pushed["ollama"],
            "size": len(model.content),
        }
        assert manifest["artifactType"] == each["artifactType"]
    assert get(host, "manifests", "1-release", OCI).headers["Docker-Content-Digest"] == pushed["digest"]
    pinned = f"oci://{host}/team/ada@{pushed['ollama']}"
    assert run("pull", pinned, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def test_a_registry_that_lists_referrers(pushable, tmp_path):
    """Where a registry keeps the list itself, no tag is written for it, and a pull asks the registry."""
    with stand_in_registry(lists_referrers=True) as here:
        pushed = run("push", pushable, f"oci://{here.host}/team/ada:1", "--with-base", "--json").document
        assert not [tag for _, tag in here.manifests if tag.startswith("sha256-")]
        place = f"oci://{here.host}/team/ada@{pushed['ollama']}"
        assert run("pull", place, "--out", tmp_path / "out").code == 0
        assert [path for path in here.bodies("GET") if "/referrers/" in path]
    assert shared(tmp_path / "out") == shared(pushable)


def test_the_record_of_a_release_without_its_base(pushable, registry):
    """The record belongs to the release itself then: lock and papers, without the model."""
    pushed = run("push", pushable, f"oci://{registry.host}/team/ada:1", "--json").document
    assert (pushed["ollama"], pushed["base"]) == ("", "")
    index = json.loads(registry.manifests["team/ada", pushed["digest"].replace(":", "-")])
    (record,) = (json.loads(registry.manifests["team/ada", each["digest"]]) for each in index["manifests"])
    names = [each["annotations"]["org.opencontainers.image.title"] for each in record["layers"]]
    assert (record["subject"]["digest"], names) == (pushed["digest"], ["ollama-pack.lock"])


def test_a_base_that_the_registry_has(pushable, distribution, models):
    """The base is mounted from another repository, so its bytes do not travel again."""
    host = distribution()
    first = run("push", pushable, f"oci://{host}/team/ada:1", "--with-base", "--json").document
    mounted = ("--with-base", "--mount", "team/none", "--mount", "team/ada")
    second = run("push", pushable, f"oci://{host}/team/grace:1", *mounted, "--json").document
    size = (models / "blobs" / base_blob(models).replace(":", "-")).stat().st_size
    assert first["bytes_sent"] > size
    assert second["bytes_sent"] == 0
    assert second["ollama"] == first["ollama"]
    assert get(host, "blobs", base_blob(models), path="team/grace").is_success


def base_blob(store) -> str:
    """Return the digest of the weights of the base."""
    return next(each["digest"] for each in model_in(store, "tiny")["layers"] if "model" in each["mediaType"])


def test_the_repository_of_the_base():
    """A base that was pulled from this very registry is mounted from its repository, and only then."""
    place = parse_oci_reference("oci://127.0.0.1:5000/team/ada:1")
    assert own_repository("127.0.0.1:5000/team/base:2", place) == ("team/base",)
    assert own_repository("127.0.0.1:5000/team/ada:2", place) == ()
    assert own_repository("127.0.0.1:5001/team/base:2", place) == ()
    assert own_repository("vicuna:7b", place) == own_repository("", place) == ()


def test_an_image_of_a_container(registry, tmp_path):
    """What is no model and no release is left alone."""
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": DIGEST, "size": 2}
    image = {"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": []}
    registry.manifests["team/ada", "1"] = json.dumps(image).encode()
    for words in (("pull",), ("verify",), ("pull", "--out", tmp_path / "out")):
        ran = run(words[0], f"oci://{registry.host}/team/ada:1", *words[1:], "--json")
        assert (ran.code, ran.document["code"]) == (3, "not-a-release")
    assert not registry.bodies("HEAD")


def test_a_merged_release(ada, tiny_gguf, distribution, elsewhere, tmp_path):
    """A model that has its base in it is whole, so the tag is Ollama's and the release comes back too."""
    host = distribution()
    place = f"oci://{host}/team/ada:1"
    call = ("build", ada, "--base", tiny_gguf, "--merge", "--via", "folder", "--out", tmp_path / "merged")
    assert run(*call).code == 0
    pushed = run("push", tmp_path / "merged", place, "--json").document
    assert pushed["ollama"]
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(tmp_path / "merged")
    other = elsewhere()
    assert run("pull", place, "--via", "store").code == 0
    assert f"sha256:{digest_in(other, 'ada', '1')}" == pushed["ollama"]


def test_an_installed_model(pushable, distribution, models, elsewhere, tmp_path):
    """A model of a store is pushed as it is, with its base, and pulled under its name or another one."""
    host = distribution()
    place = f"oci://{host}/team/ada:1"
    assert run("register", pushable, "ada", "--via", "store").code == 0
    pushed = run("push", "ada", place, "--json").document
    assert pushed["digest"] == pushed["ollama"] == f"sha256:{digest_in(models, 'ada')}"
    assert run("push", "nobody", place, "--json").document["code"] == "no-such-model"
    before = model_in(models, "ada")
    other = elsewhere()
    assert run("pull", place).stdout == "ada:1\n"
    assert run("pull", place, "grace", "--json").document["delivery"]["via"] == "store"
    assert model_in(other, "ada", "1") == model_in(other, "grace") == before
    ran = run("pull", place, "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.document["code"]) == (2, "not-a-release")
    (tmp_path / "public.pem").touch()
    ran = run("pull", place, "--key", tmp_path / "public.pem", "--json")
    assert (ran.code, ran.document["code"]) == (5, "not-signed")


def test_a_model_that_lies(pushable, registry, elsewhere):
    """A blob of an installed model with other bytes ends a pull, and leaves neither model nor blobs."""
    assert run("register", pushable, "ada", "--via", "store").code == 0
    place = f"oci://{registry.host}/team/ada:1"
    pushed = run("push", "ada", place, "--json").document
    for each in pushed["files"]:
        name = each["digest"]
        registry.spoil = {name: bytes(len(registry.blobs["team/ada", name]))}
        other = elsewhere()
        ran = run("pull", place, "--via", "store", "--json")
        assert (ran.code, ran.document["code"]) == (5, "wrong-digest"), each
        assert not [path for path in tree(other) if path.startswith("manifests/r") or "sha256-" in path]


def test_a_base_that_lies(pushable, registry, elsewhere, models):
    """A base with other bytes than its digest is not installed, and the model neither."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place, "--with-base").code == 0
    registry.spoil[base_blob(models)] = b"?" * len(registry.blobs["team/ada", base_blob(models)])
    other = elsewhere()
    ran = run("pull", place, "--via", "store", "--json")
    assert (ran.code, ran.document["code"]) == (5, "wrong-digest")
    assert not [path for path in tree(other) if path.startswith("manifests/r") or "sha256-" in path]


def test_a_release_of_another_model(pushable, registry, tmp_path):
    """A release counts only if it says itself that it belongs to the model that the tag names."""
    place = f"oci://{registry.host}/team/ada:1"
    pushed = run("push", pushable, place, "--with-base", "--json").document
    manifest = json.loads(registry.manifests["team/ada", "1-release"])
    manifest["subject"]["digest"] = f"sha256:{'0' * 64}"
    registry.manifests["team/ada", "1-release"] = json.dumps(manifest).encode()
    assert run("pull", place, "--out", tmp_path / "out", "--json").document["digest"] == pushed["digest"]


def test_a_lock_of_another_model(pushable, registry, models):
    """A release whose lock has another model ends before that model is fetched."""
    place = f"oci://{registry.host}/team/ada:1"
    pushed = run("push", pushable, place, "--json").document
    manifest = json.loads(registry.manifests["team/ada", "1"])
    other = hashlib.sha256(b"other").hexdigest()
    for each in manifest["layers"]:
        if each["annotations"]["org.opencontainers.image.title"] == "adapter_model.gguf":
            each |= {"digest": f"sha256:{other}", "size": 5}
    registry.blobs["team/ada", f"sha256:{other}"] = b"other"
    registry.manifests["team/ada", "1"] = json.dumps(manifest).encode()
    before, registry.asked[:] = tree(models), []
    ran = run("pull", place, "--via", "store", "--json")
    assert (ran.code, ran.document["code"]) == (5, "not-as-recorded")
    assert not [path for path in registry.bodies("GET") if other in path]
    assert tree(models) == before
    assert pushed["bytes_sent"]


def test_a_base_that_is_not_here(pushable, registry, elsewhere, models, monkeypatch):
    """A base that no store has cannot be sent, and nothing is; both ways out that are told work."""
    elsewhere().mkdir()
    place = f"oci://{registry.host}/team/ada:1"
    ran = run("push", pushable, place, "--with-base", "--json")
    assert (ran.code, ran.document["code"], registry.asked) == (6, "base-not-here", [])
    assert run("push", pushable, place).code == 0
    monkeypatch.setenv("OLLAMA_MODELS", str(models))
    assert run("push", pushable, place, "--with-base").code == 0


def test_several_releases_of_a_model(pushable, registry, tmp_path):
    """Which of them is meant is asked, and each of the places that are told is one."""
    pushed = run("push", pushable, f"oci://{registry.host}/team/ada:1", "--with-base", "--json").document
    manifest = json.loads(registry.manifests["team/ada", "1-release"])
    manifest["annotations"]["org.opencontainers.image.title"] = "other"
    content = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    registry.manifests["team/ada", digest] = content
    tag = pushed["ollama"].replace(":", "-")
    index = json.loads(registry.manifests["team/ada", tag])
    index["manifests"].append({**index["manifests"][0], "digest": digest, "size": len(content)})
    registry.manifests["team/ada", tag] = json.dumps(index).encode()
    pinned = f"oci://{registry.host}/team/ada@{pushed['ollama']}"
    ran = run("pull", pinned, "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.document["code"]) == (3, "not-a-release")
    for number, place in enumerate(ran.document["try"].split(" or ")):
        assert run("pull", place, "--out", tmp_path / str(number)).code == 0
        assert shared(tmp_path / str(number)) == shared(pushable)
    assert number == 1


def test_no_store_to_pull_into(pushable, registry, tmp_path, monkeypatch):
    """Where no store can be written, the option that is told names another one."""
    assert run("register", pushable, "ada", "--via", "store").code == 0
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", "ada", place).code == 0
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "file"))
    ran = run("pull", place, "--json")
    assert (ran.code, ran.document["code"]) == (6, "no-store")
    assert "--store DIR" in ran.document["try"]
    assert run("pull", place, "--store", tmp_path / "new").code == 0
    assert model_in(tmp_path / "new", "ada", "1")


def test_a_damaged_model(pushable, registry, models):
    """A model of which a blob is missing is not pushed, and what would bring the blob is told."""
    assert run("register", pushable, "ada", "--via", "store").code == 0
    (models / "blobs" / base_blob(models).replace(":", "-")).unlink()
    ran = run("push", "ada", f"oci://{registry.host}/team/ada:1", "--json")
    assert (ran.code, registry.asked, ran.document["try"]) == (6, [], "ollama pull ada")
