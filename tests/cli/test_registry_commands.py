"""``ollama-pack push`` and ``pull``: a release comes out of a registry as it went in, or not at all."""

import hashlib
import json

import pytest
from real_registry import shared
from terminal import model_in, run, tree

from ollama_pack.registry.reference import parse_oci_reference

pytest.importorskip("oras", reason="the extra `oci` is not installed")

FILES = {
    "Modelfile.txt",
    "adapter_model.gguf",
    "ollama-config.json",
    "ollama-manifest.json",
    "ollama-pack.lock",
}


def test_through_a_real_registry(pushable, distribution, models, tmp_path):
    """docker-registry gives back what it got; a second push sends nothing; the model is registered."""
    place = f"oci://{distribution()}/team/ada-lovelace:1.0"
    pushed = run("push", pushable, place, "--json")
    assert pushed.code == 0, pushed.stderr
    assert {each["name"] for each in pushed.document["files"]} == FILES
    more = pushed.document["bytes_sent"] - sum(map(len, shared(pushable).values()))
    assert 0 < more < 1000, "the configuration, which names the files"
    again = run("push", pushable, place, "--json").document
    assert (again["bytes_sent"], again["digest"]) == (0, pushed.document["digest"])
    pulled = run("pull", place, "--out", tmp_path / "out")
    assert (pulled.code, pulled.stdout) == (0, f"{tmp_path / 'out'}\n"), pulled.stderr
    assert shared(tmp_path / "out") == shared(pushable)
    assert run("pull", pushed.document["place"], "grace", "--via", "store").code == 0
    assert run("pull", place, "--via", "store").stdout == "ada-lovelace:1.0\n"
    run("register", pushable, "other", "--via", "store")
    assert model_in(models, "grace") == model_in(models, "other") == model_in(models, "ada-lovelace", "1.0")
    assert not list(tmp_path.glob(".ollama-pack-*"))


def test_a_real_registry_that_is_read_only(pushable, distribution, tmp_path):
    """A registry that takes nothing is told with its status."""
    host = distribution("  maintenance: {readonly: {enabled: true}}")
    ran = run("push", pushable, f"oci://{host}/team/ada:1", "--json")
    assert (ran.code, ran.document["code"]) == (6, "registry")


LIES = [
    (part, damage) for part in ("adapter_model.gguf", "manifest") for damage in ("changed", "short", "long")
]


@pytest.mark.parametrize("lie", LIES)
def test_a_registry_that_lies(pushable, registry, models, tmp_path, lie):
    """Bytes that are not those of their digest end a pull with 5, and leave no file and no model."""
    place = f"oci://{registry.host}/team/ada:1"
    files = {
        each["name"]: each["digest"] for each in run("push", pushable, place, "--json").document["files"]
    }
    part, damage = lie
    name = files.get(part, "1")
    content = registry.manifests["team/ada", "1"] if part == "manifest" else registry.blobs["team/ada", name]
    changed = {"changed": content[:-2] + b"  ", "short": content[:-1], "long": content + b" "}[damage]
    registry.spoil[name] = changed
    before = tree(models)
    for call in (("--via", "store"), ("--out", tmp_path / "out")):
        ran = run("pull", place, *call, "--json")
        assert (ran.code, ran.document["code"]) == (5, "wrong-digest")
    assert tree(models) == before
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".ollama-pack-*"))


def test_a_release_that_is_not_as_recorded(pushable, registry, tmp_path, models):
    """A push sends nothing of a folder that was changed; a pull takes nothing that its lock denies."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    manifest = json.loads(registry.manifests["team/ada", "1"])
    text = next(each for each in manifest["layers"] if "Modelfile.txt" in each["annotations"].values())
    content = registry.blobs["team/ada", text["digest"]] + b"PARAMETER temperature 2\n"
    text |= {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    registry.blobs["team/ada", text["digest"]] = content
    registry.manifests["team/ada", "1"] = json.dumps(manifest).encode()
    before = tree(models)
    ran = run("pull", place, "--via", "store", "--json")
    assert (ran.code, ran.document["code"]) == (5, "not-as-recorded")
    assert tree(models) == before
    (pushable / "Modelfile.txt").write_text((pushable / "Modelfile.txt").read_text() + "# edited\n")
    asked = len(registry.asked)
    assert run("push", pushable, place, "--json").document["code"] == "not-as-recorded"
    assert len(registry.asked) == asked


def test_a_tag_that_moves(pushable, registry, tmp_path):
    """A pull takes the release that the tag named when it began, also if the tag moves meanwhile."""
    place = f"oci://{registry.host}/team/ada:1"
    first = run("push", pushable, place, "--json").document

    class Moving(dict):
        def get(self, name, otherwise):
            if name == "1":
                registry.manifests["team/ada", "1"] = b'{"artifactType": "other"}'
            return otherwise

    registry.spoil = Moving()
    pulled = run("pull", place, "--out", tmp_path / "out", "--json")
    assert (pulled.code, pulled.document["digest"]) == (0, first["digest"])
    assert shared(tmp_path / "out") == shared(pushable)


def test_names_that_lead_elsewhere(pushable, registry, tmp_path):
    """A manifest cannot name a file outside the folder, nor one that no release has."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    good = registry.manifests["team/ada", "1"]
    for name in ("../evil", "/tmp/evil", "evil.sh", "", "Modelfile.txt/x"):
        registry.manifests["team/ada", "1"] = good.replace(b'"Modelfile.txt"', json.dumps(name).encode())
        assert run("pull", place, "--out", tmp_path / "out").code == 3
    for broken in (
        b"[]",
        b"{}",
        good[:-9],
        good.replace(b"layers", b"lairs"),
        good.replace(b"sha256:", b"sha512:"),
    ):
        registry.manifests["team/ada", "1"] = broken
        assert run("pull", place, "--out", tmp_path / "out").code == 3
    assert not (tmp_path / "out").exists()
    assert run("push", pushable, place).code == run("pull", place, "--out", tmp_path / "out").code == 0


def test_what_is_not_there(pushable, registry, tmp_path):
    """No release of that name, no registry, a folder in the way, and words that name no place."""
    absent = run("pull", f"oci://{registry.host}/team/none:1", "--json")
    assert (absent.code, absent.document["code"]) == (2, "no-such-directory")
    assert run("pull", "oci://127.0.0.1:9/team/ada:1", "--json").document["code"] == "no-network"
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    ran = run("pull", place, "--out", pushable, "--json")
    assert (ran.code, ran.document["code"]) == (7, "file-in-the-way")
    assert run("pull", place, "--out", tmp_path / "new").code == 0
    for wrong in (
        "oci://host",
        "registry.example.com/team/ada",
        "oci://h/Team/ada",
        "oci://h/a:b:c",
        "oci://h/a@sha256:1",
    ):
        assert run("pull", wrong).code == 2
    secret = run("pull", "oci://ada:planted-password@host/team/ada:1")
    assert (secret.code, "planted" in secret.stderr) == (2, False)
    assert run("push", pushable, f"oci://h/a@sha256:{'0' * 64}").code == 2


def test_a_merged_model(ada, tiny_gguf, registry, tmp_path):
    """A release that is merged with a file of this machine comes out whole."""
    place = f"oci://{registry.host}/team/ada:1"
    call = ("build", ada, "--base", tiny_gguf, "--merge", "--via", "folder", "--out", tmp_path / "merged")
    assert run(*call).code == 0
    assert run("push", tmp_path / "merged", place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(tmp_path / "merged")


def test_the_manifest_has_names_of_oci(pushable, registry):
    """Other clients read the type, the names of the files, and the base with its digest; no date is in it."""
    assert run("push", pushable, f"oci://{registry.host}/team/ada:1").code == 0
    manifest = json.loads(registry.manifests["team/ada", "1"])
    lock = json.loads((pushable / "ollama-pack.lock").read_text())
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    for title in ("org.opencontainers.image.title", "org.cncf.model.filepath"):
        assert {each["annotations"][title] for each in manifest["layers"]} == FILES
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    config = json.loads(registry.blobs["team/ada", manifest["config"]["digest"]])
    assert config == {
        "descriptor": {"name": "ada", "family": "llama"},
        "config": {"format": "gguf"},
        "modelfs": {"type": "layers", "diffIds": [each["digest"] for each in manifest["layers"]]},
    }
    assert manifest["annotations"] == {
        "org.opencontainers.image.base.digest": lock["base"]["manifest"] or lock["base"]["blob"],
        "org.opencontainers.image.base.name": "tiny:latest",
        "org.opencontainers.image.title": "ada",
    }


def test_a_folder_without_a_lock(pushable, registry):
    """Nobody could verify a folder without a lock, so it is not pushed."""
    (pushable / "ollama-pack.lock").unlink()
    ran = run("push", pushable, f"oci://{registry.host}/team/ada:1", "--json")
    assert (ran.code, ran.document["code"], registry.asked) == (3, "no-release", [])
    assert "build DIR --via folder --out FOLDER" in ran.document["try"]


def test_http_is_not_tried_elsewhere(pushable):
    """A registry on another machine is asked by HTTPS alone, unless the user says otherwise."""
    for words, addresses in (
        ((), ("https://r.invalid:5000",)),
        (("--plain-http",), ("http://r.invalid:5000",)),
    ):
        place = parse_oci_reference("oci://r.invalid:5000/a", plain_http=bool(words))
        assert place.addresses == addresses
        ran = run("push", pushable, str(place), *words, "--json")
        assert (ran.code, ran.document["code"]) == (6, "no-network")
        assert ran.document["try"].startswith("--plain-http") is not bool(words)


def test_a_release_of_an_earlier_version(pushable, registry, tmp_path):
    """Releases that were pushed before they were ModelPacks are pulled and verified all the same."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    manifest = json.loads(registry.manifests["team/ada", "1"])
    manifest["artifactType"] = "application/vnd.ollama-pack.release.v1"
    manifest["config"] |= {"mediaType": "application/vnd.oci.empty.v1+json"}
    for each in manifest["layers"]:
        each["mediaType"] = "text/plain"
        del each["annotations"]["org.cncf.model.filepath"]
    registry.manifests["team/ada", "1"] = json.dumps(manifest).encode()
    assert run("verify", place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def test_a_model_pack_of_another_program(pushable, registry):
    """A ModelPack without a lock is no release, whatever its layers are called."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    manifest = json.loads(registry.manifests["team/ada", "1"])
    manifest["layers"] = [{**each, "annotations": {}} for each in manifest["layers"]]
    registry.manifests["team/ada", "1"] = json.dumps(manifest).encode()
    ran = run("pull", place, "--json")
    assert (ran.code, ran.document["code"]) == (3, "not-a-release")
