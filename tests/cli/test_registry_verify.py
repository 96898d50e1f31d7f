"""``verify oci://…``: all that a registry has of a release is proved, and the first lie ends with 5."""

import hashlib
import json

import pytest
from oci_registry import stand_in_registry
from real_registry import shared
from terminal import run, tree
from test_signed_release import keys, signed, write_keys  # noqa: F401 — fixtures

from ollama_pack.base.digest_memory import memory_path
from ollama_pack.disk import files
from ollama_pack.registry import downloads

pytest.importorskip("oras", reason="the extra `oci` is not installed")


def test_a_release_is_proved_where_it_is(pushable, distribution, models):
    """docker-registry: the proofs are the folder's, and each blob that Ollama would get; nothing stays."""
    place = f"oci://{distribution()}/team/ada:1"
    assert run("push", pushable, place, "--with-base").code == 0
    before = tree(models)
    ran = run("verify", place, "--json")
    assert ran.code == 0, ran.stderr
    there = [each["proof"] for each in ran.document["proofs"]]
    folder = [each["proof"] for each in run("verify", pushable, "--json").document["proofs"]]
    assert there == ["blobs", *folder]
    assert tree(models) == before
    assert not list((memory_path().parent / "pulls").iterdir())


def test_every_lie_is_found(pushable, registry, tmp_path):
    """Whatever blob or manifest has one other byte, `verify` ends with 5."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place, "--with-base").code == 0
    assert run("verify", place).code == 0
    used = {
        each["digest"]
        for name in ("1", "1-release", "1-base")
        for each in json.loads(registry.manifests["team/ada", name])["layers"]
    }
    for name in ("1", "1-release", *sorted(used)):
        content = (registry.manifests if name[0] == "1" else registry.blobs)["team/ada", name]
        place_of_change = len(content) // 2
        registry.spoil = {name: content[:place_of_change] + b"\0" + content[place_of_change + 1 :]}
        ran = run("verify", place, "--json")
        assert (ran.code, ran.document["code"]) == (5, "wrong-digest"), name
    registry.spoil = {}
    assert run("verify", place).code == 0
    assert not list(tmp_path.glob(".ollama-pack-*"))
    assert not list((memory_path().parent / "pulls").iterdir())


def changed(registry, tag, change):
    """Change the manifest under a tag, as its owner could, and return its new digest."""
    manifest = json.loads(registry.manifests["team/ada", tag])
    change(manifest)
    content = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    registry.manifests["team/ada", tag] = registry.manifests["team/ada", digest] = content
    return digest


@pytest.mark.parametrize("command", ["verify", "pull"])
def test_a_base_that_the_lock_does_not_know(pushable, registry, models, command):
    """The manifest of a release may not name another base than the lock does."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    key = "org.opencontainers.image.base.digest"
    changed(registry, "1", lambda manifest: manifest["annotations"].update({key: f"sha256:{'1' * 64}"}))
    before = tree(models)
    ran = run(command, place, "--json")
    assert (ran.code, ran.document["code"], tree(models)) == (5, "not-as-recorded", before)


def test_a_model_that_is_not_of_the_release(pushable, registry):
    """What Ollama would pull under the tag has to be the model that the release proves."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place, "--with-base").code == 0
    other = b"another adapter"
    digest = f"sha256:{hashlib.sha256(other).hexdigest()}"
    registry.blobs["team/ada", digest] = other

    def swap(manifest):
        for each in manifest["layers"]:
            if each["mediaType"].endswith("adapter"):
                each |= {"digest": digest, "size": len(other)}

    model = changed(registry, "1", swap)
    changed(registry, "1-release", lambda manifest: manifest["subject"].update(digest=model))
    ran = run("verify", place, "--json")
    assert (ran.code, ran.document["code"]) == (5, "not-as-recorded")


def test_a_model_without_a_release(pushable, registry):
    """Its blobs are all that can be proved; nobody can have signed it."""
    assert run("register", pushable, "ada", "--via", "store").code == 0
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", "ada", place).code == 0
    assert [each["proof"] for each in run("verify", place, "--json").document["proofs"]] == ["blobs"]
    who = ("--identity", "ada@example.org", "--identity-provider", "https://example.org")
    for command in ("verify", "pull"):
        ran = run(command, place, *who, "--json")
        assert (ran.code, ran.document["code"]) == (5, "not-signed")
    assert run("verify", f"oci://{registry.host}/team/none:1").code == 2


@pytest.mark.parametrize("command", ["verify", "pull"])
def test_who_signed(signed, keys, models, tmp_path, command):  # noqa: F811
    """A signed release goes through a registry with its signature; another signer ends it before anything."""
    _, other = write_keys(tmp_path, "other")
    with stand_in_registry() as here:
        place = f"oci://{here.host}/team/ada:1"
        assert run("push", signed, place).code == 0
        assert "model.sig" in str(here.manifests)
        before = tree(models)
        ran = run(command, place, "--key", other, "--json")
        assert (ran.code, ran.document["code"], tree(models)) == (5, "not-signed", before)
        assert run(command, place, "--key", keys[1]).code == 0


def test_a_policy(signed, keys, models, tmp_path):  # noqa: F811
    """A pull takes a release only if it is as a policy requires."""
    policy = tmp_path / "policy.toml"
    with stand_in_registry() as here:
        place = f"oci://{here.host}/team/ada:1"
        assert run("push", signed, place).code == 0
        before = tree(models)
        policy.write_text(f'[signature]\nkeys = ["{keys[1].name}"]\n[base]\nmodels = ["vicuna:7b"]\n')
        ran = run("pull", place, "--policy", policy, "--json")
        assert (ran.code, tree(models)) == (5, before), ran.stdout
        policy.write_text(f'[signature]\nkeys = ["{keys[1].name}"]\n')
        assert run("pull", place, "--policy", policy).code == 0


def test_a_release_without_a_signature(pushable, registry, keys, models):  # noqa: F811
    """What nobody signed is not installed where somebody must have."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    before = tree(models)
    ran = run("pull", place, "--key", keys[1], "--json")
    assert (ran.code, ran.document["code"], tree(models)) == (5, "not-signed", before)
    assert shared(pushable)


def test_a_merged_model_is_read_once(ada, tiny_gguf, registry, tmp_path, monkeypatch):
    """Its gigabytes are hashed once by `verify` and by `push`, and once on the way here by `verify oci://`."""
    out, place = tmp_path / "dist", f"oci://{registry.host}/team/ada:1"
    words = ("release", ada, "ada:1", "--base", tiny_gguf, "--merge", "--out", out, "--no-report")
    assert run(*words).code == 0
    (merged,) = out.glob("*.gguf")
    read, hashing, summing = [], files.copy_hashing, downloads._sum_of

    def counted(reader, writer, label, progress):
        read.append(label)
        return hashing(reader, writer, label, progress)

    def counted_part(part):
        if part.exists():
            read.append(f"reading {part.name}")
        return summing(part)

    monkeypatch.setattr(files, "copy_hashing", counted)
    monkeypatch.setattr(downloads, "_sum_of", counted_part)
    for command in (("verify", out), ("push", out, place)):
        read.clear()
        assert run(*command).code == 0
        assert [each for each in read if merged.name in each] == [f"reading {merged.name}"]
    read.clear()
    assert run("verify", place).code == 0
    assert read == []
