"""A base that is a GGUF file goes to a registry as a file of the release, and comes out with it."""

import hashlib
import json

import pytest
from real_registry import shared
from recipes import write_adapter, write_model
from terminal import digest_in, run, tree

from ollama_pack.modelfile.file import read_modelfile

pytest.importorskip("oras", reason="the extra `oci` is not installed")


@pytest.fixture
def on_a_file(ada, tiny_gguf, tmp_path):
    """Return the folder of a build on a GGUF file."""
    words = ("build", ada, "ada", "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "planted-path")
    assert run(*words).code == 0
    return tmp_path / "planted-path"


def test_a_base_that_is_a_file(on_a_file, registry):
    """It is refused, because nobody else has the file, unless it is sent too, as the error says."""
    place = f"oci://{registry.host}/team/ada:1"
    ran = run("push", on_a_file, place, "--json")
    assert (ran.code, ran.document["code"], registry.asked) == (2, "base-is-a-file", [])
    assert ran.document["try"].startswith("--with-base")
    assert run("push", on_a_file, place, "--with-base").code == 0


def test_it_comes_out_on_another_machine(on_a_file, distribution, models, tmp_path, monkeypatch):
    """The model has the same digest there as here, and the folder is whole and can be pushed on."""
    tiny_gguf = on_a_file / read_modelfile(on_a_file).value("FROM")
    place = f"oci://{distribution()}/team/ada:1"
    assert run("register", on_a_file, "ada", "--via", "store").code == 0
    pushed = run("push", on_a_file, place, "--with-base", "--json").document
    assert pushed["ollama"] == f"sha256:{digest_in(models, 'ada')}"
    assert run("verify", place).code == 0
    other = tmp_path / "elsewhere"
    monkeypatch.setenv("OLLAMA_MODELS", str(other))
    assert run("pull", place, "--via", "store").code == 0
    assert f"sha256:{digest_in(other, 'ada', '1')}" == pushed["ollama"]
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "base.gguf").read_bytes() == tiny_gguf.read_bytes()
    assert run("verify", tmp_path / "out").code == 0
    again = run("push", tmp_path / "out", place, "--with-base", "--json").document
    assert (again["bytes_sent"], again["digest"]) == (0, pushed["digest"])
    assert "FROM ./base.gguf" in (tmp_path / "out" / "Modelfile.txt").read_text()


def test_no_path_leaves_this_machine(on_a_file, registry, tiny_gguf):
    """The Modelfile here names the file by its path; the one in the registry does not."""
    own = (on_a_file / "Modelfile.txt").read_text()
    assert tiny_gguf.name in own
    assert run("push", on_a_file, f"oci://{registry.host}/team/ada:1", "--with-base").code == 0
    sent = b"".join((*registry.blobs.values(), *registry.manifests.values()))
    assert b"FROM ./base.gguf" in sent
    for bait in (tiny_gguf.name, str(tiny_gguf.parent.name), "planted-path"):
        assert bait.encode() not in sent
    assert (on_a_file / "Modelfile.txt").read_text() == own


def test_its_licence_is_told(ada, on_a_file, registry, tmp_path):
    """What the header of the base or Modelfile.txt says is known; else that nothing says it is told."""
    place = f"oci://{registry.host}/team/ada:1"
    assert "nothing says its licence" in run("push", on_a_file, place, "--with-base").stderr
    base = write_model(tmp_path / "licensed.gguf", keys=[("general.license", "Apache-2.0")])
    words = ("build", ada, "ada", "--base", base, "--via", "folder", "--out", tmp_path / "licensed")
    assert run(*words).code == 0
    told = run("push", tmp_path / "licensed", place, "--with-base").stderr
    assert "by its header, its licence is apache-2.0" in told
    (tmp_path / "licence.txt").write_text("Do as you like.")
    own = write_adapter(tmp_path / "own-lora", modules=("v_proj",))
    (own / "Modelfile.txt").write_text('LICENSE """Do as you like."""\n')
    words = ("build", own, "own", "--base", tmp_path / "licensed.gguf", "--via", "folder")
    assert run(*words, "--out", tmp_path / "own").code == 0
    assert "licence" in run("push", tmp_path / "own", place, "--with-base").stderr


def test_another_file_is_found(on_a_file, registry, tiny_gguf, tmp_path, models):
    """A base that changed since the build is not sent; one that was swapped in the registry is not taken."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", on_a_file, place, "--with-base").code == 0
    manifest = json.loads(registry.manifests["team/ada", "1-release"])
    (base,) = [each for each in manifest["layers"] if "base.gguf" in each["annotations"].values()]
    other = write_model(tmp_path / "other.gguf", keys=[("general.name", "other")]).read_bytes()
    before = tree(models) if models.exists() else {}
    registry.spoil = {base["digest"]: other[: base["size"]].ljust(base["size"], b"\0")}
    assert run("pull", place, "--json").document["code"] == "wrong-digest"
    registry.spoil = {}
    digest = f"sha256:{hashlib.sha256(other).hexdigest()}"
    registry.blobs["team/ada", digest] = other
    base |= {"digest": digest, "size": len(other)}
    registry.manifests["team/ada", "1-release"] = json.dumps(manifest).encode()
    for command in ("pull", "verify"):
        ran = run(command, place, "--json")
        assert (ran.code, ran.document["code"]) == (5, "not-as-recorded")
    assert (tree(models) if models.exists() else {}) == before
    source = (on_a_file / "Modelfile.txt").read_text()
    (on_a_file / "Modelfile.txt").write_text(source.replace(tiny_gguf.name, "changed.gguf"))
    tiny_gguf.with_name("changed.gguf").write_bytes(other)
    registry.asked.clear()
    ran = run("push", on_a_file, place, "--with-base", "--json")
    assert (ran.code, ran.document["code"], registry.bodies("PUT")) == (5, "base-mismatch", [])
    assert shared(on_a_file)
