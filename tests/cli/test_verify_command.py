"""``ollama-pack verify``, and what ``register`` verifies by itself: folders and models that lie."""

import json

import fake_daemon
import pytest
from terminal import add_base, run, tree

from ollama_pack.gguf.reader import read_gguf
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path

LOCK = "ollama-pack.lock"


@pytest.fixture
def release(ada, tiny_gguf, tmp_path):
    """Return the folder of a build on a GGUF base."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "release").code == 0
    return tmp_path / "release"


def overwrite_with_nan(path):
    """Write NaN over the numbers of the first tensor, and leave the header as it is."""
    header = read_gguf(path)
    offset = min(header.offsets.values())
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = b"\xff\x7e" * 32
    path.write_bytes(content)


def edit(path, old, new):
    """Replace a text in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_release_holds(release):
    """Files, Modelfile, numbers and base are proved; without a daemon it is told that loading is not."""
    before = tree(release, times=True)
    ran = run("verify", release)
    assert (ran.code, ran.stdout) == (0, f"{release}\n")
    for proof in (
        "files: adapter_model.gguf",
        "modelfile: Modelfile.txt",
        "numbers: every",
        "base: tiny.gguf",
    ):
        assert proof in ran.stderr
    assert "unproved  load: no Ollama daemon answers" in ran.stderr
    assert tree(release, times=True) == before
    document = run("verify", release, "--json").document
    assert [each["proof"] for each in document["proofs"]] == ["files", "modelfile", "numbers", "base"]
    assert [each["proof"] for each in document["not_proved"]] == ["prompt", "load"]


LIES = {
    "NaN in the GGUF": (
        lambda folder: overwrite_with_nan(folder / "adapter_model.gguf"),
        "adapter_model.gguf",
    ),
    "another GGUF": (
        lambda folder: (folder / "adapter_model.gguf").write_bytes(b"\x7e" * 5000),
        "adapter_model.gguf",
    ),
    "no GGUF": (lambda folder: (folder / "adapter_model.gguf").unlink(), "adapter_model.gguf"),
    "an edited Modelfile": (
        lambda folder: (folder / "Modelfile.txt").write_text(
            (folder / "Modelfile.txt").read_text() + "SYSTEM Be somebody else.\n"
        ),
        "Modelfile.txt",
    ),
    "no Modelfile": (lambda folder: (folder / "Modelfile.txt").unlink(), "Modelfile.txt"),
    "an edited manifest": (
        lambda folder: edit(folder / "ollama-manifest.json", "schemaVersion", "schemaversion"),
        "ollama-manifest.json",
    ),
    "an edited configuration": (
        lambda folder: edit(folder / "ollama-config.json", "llama", "gemma"),
        "ollama-config.json",
    ),
    "a damaged lock": (lambda folder: (folder / LOCK).write_text("{"), LOCK),
    "an empty lock": (lambda folder: (folder / LOCK).write_text("{}"), LOCK),
}


@pytest.mark.parametrize("command", ["verify", "register"])
@pytest.mark.parametrize(("lie", "named"), LIES.values(), ids=LIES)
def test_a_lie_is_found(command, lie, named, release, models):
    """What is not as recorded ends in exit 5, names the file, and nothing is registered."""
    lie(release)
    before = tree(release)
    ran = run(command, release)
    assert (ran.code, ran.stdout) == (5, "")
    assert named in ran.stderr
    assert f"delete {LOCK}" in ran.stderr
    assert not models.exists()
    assert tree(release) == before
    error = run(command, release, "--json").document
    assert (error["code"], error["exit_code"]) == ("not-as-recorded", 5)


def test_the_way_out_of_an_edit(release, models):
    """Whoever edited Modelfile.txt deletes the lock, as the hint says, and registers; NaN stays an error."""
    (release / "Modelfile.txt").write_text((release / "Modelfile.txt").read_text() + "SYSTEM Be mine.\n")
    assert run("register", release).code == 5
    (release / LOCK).unlink()
    ran = run("register", release)
    assert ran.code == 0
    assert f"files: there is no {LOCK}" in ran.stderr
    overwrite_with_nan(release / "adapter_model.gguf")
    ran = run("register", release)
    assert (ran.code, "NaN or infinity in blk.0." in ran.stderr) == (5, True)


def test_an_adapter_that_was_trained_again(ada, tiny_gguf):
    """Where the adapter beside the folder has other weights now, the folder is not made of it any more."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder").code == 0
    assert run("verify", ada).code == 0
    weights = ada / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ran = run("register", ada)
    assert (ran.code, "adapter_model.safetensors" in ran.stderr) == (5, True)
    assert f"ollama-pack build {ada}" in ran.stderr
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder").code == 0
    assert run("verify", ada).code == 0


@pytest.mark.parametrize("command", ["verify", "register"])
def test_a_base_file_that_changed(command, release, tiny_gguf, models):
    """Other weights under the path in FROM are another base; who wants them says so."""
    content = bytearray(tiny_gguf.read_bytes())
    content[-1] ^= 1
    tiny_gguf.write_bytes(content)
    ran = run(command, release)
    assert (ran.code, "the base has changed since the last build" in ran.stderr) == (5, True)
    assert not models.exists()
    assert run(command, release, "--base-mismatch-ok", "moved").code == 0


def test_a_tag_that_moved(smol, smol_gguf, models, tmp_path):
    """A base of the same name with other weights is found, and one with the recorded weights holds."""
    add_base(models, smol_gguf, "smollm2", "135m")
    assert run("build", smol, "ada", "--via", "folder", "--out", tmp_path / "release").code == 0
    assert run("verify", tmp_path / "release").code == 0
    path = manifest_path(models, parse_name("smollm2:135m"))
    path.unlink()
    path.parent.rmdir()
    content = bytearray(smol_gguf.read_bytes())
    content[-1] ^= 1
    smol_gguf.write_bytes(content)
    add_base(models, smol_gguf, "smollm2", "135m")
    for command in ("verify", "register"):
        ran = run(command, tmp_path / "release", "--store", models)
        assert (ran.code, "smollm2:135m has changed since the last build" in ran.stderr) == (5, True)


def test_an_installed_model(ada, tiny_gguf, models):
    """A model is proved from its blobs: all are there as named, and its adapter fits its base."""
    assert run("build", ada, "ada", "--base", tiny_gguf, "--via", "store").code == 0
    ran = run("verify", "ada")
    assert (ran.code, ran.stdout) == (0, "ada\n")
    for proof in ("files: ", "numbers: every", "base: "):
        assert proof in ran.stderr
    document = json.loads(manifest_path(models, parse_name("ada")).read_bytes())
    (digest,) = (
        layer["digest"] for layer in document["layers"] if layer["mediaType"].endswith("image.adapter")
    )
    overwrite_with_nan(models / "blobs" / digest.replace(":", "-"))
    ran = run("verify", "ada")
    assert (ran.code, digest.replace(":", "-") in ran.stderr, "NaN" in ran.stderr) == (5, True, True)


def test_what_cannot_be_verified(models, tiny_gguf):
    """A model that is not there, and one without an adapter, are wrong usage."""
    assert run("verify", "nobody").code == 6
    add_base(models, tiny_gguf, "tiny", "latest")
    assert run("verify", "nobody").code == 2
    ran = run("verify", "tiny")
    assert (ran.code, "has no adapter" in ran.stderr) == (2, True)


@pytest.fixture
def daemon(smol_gguf, models, monkeypatch):
    """Return a daemon whose store has the base of the adapter `smol`."""
    add_base(models, smol_gguf, "smollm2", "135m")
    with fake_daemon.running(models) as state:
        monkeypatch.setenv("OLLAMA_HOST", state.address)
        yield state


@pytest.mark.parametrize("creates", [True, False])
def test_a_release_is_loaded_and_not_registered(smol, daemon, models, tmp_path, creates):
    """A daemon that has the base loads the model for the proof; afterwards it has what it had."""
    daemon.becomes("0.33.0" if creates else "0.34.1", creates=creates)
    out = tmp_path / "release"
    assert run("build", smol, "ada", "--via", "folder", "--out", out).code == 0
    names = sorted(models.glob("manifests/*/*/*/*"))
    ran = run("verify", out)
    assert ran.code == 0
    assert "proof     load: release:latest loads, and answers differently from smollm2:135m" in ran.stderr
    assert sorted(models.glob("manifests/*/*/*/*")) == names
    daemon.mood = "cannot load"
    ran = run("verify", out)
    assert (ran.code, "The daemon cannot load release" in ran.stderr) == (5, True)
    assert sorted(models.glob("manifests/*/*/*/*")) == names
    assert "unproved  load: left out by --no-load" in run("verify", out, "--no-load").stderr


def test_a_registered_model_is_loaded(smol, daemon, models):
    """A model of a daemon is proved in place, and compared with its base, which is lent a name."""
    assert run("build", smol, "ada").code == 0
    before = sorted(models.glob("manifests/*/*/*/*"))
    ran = run("verify", "ada")
    assert ran.code == 0
    assert "load: ada:latest loads, and answers differently from its base for 3 of 3" in ran.stderr
    assert sorted(models.glob("manifests/*/*/*/*")) == before
    daemon.mood = "cannot load"
    assert run("verify", "ada").code == 5
