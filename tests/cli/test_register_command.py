"""``ollama-pack register``: a folder into a store, without converting again."""

import pytest
from terminal import add_base, digest_in, model_in, run, tree


@pytest.fixture
def release(ada, tiny_gguf, tmp_path):
    """Return the folder a build left."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "release").code == 0
    return tmp_path / "release"


def test_store(release, models):
    """The model gets into the store, and the folder stays as it is."""
    before = tree(release, times=True)
    ran = run("register", release, "ada", "--via", "store")
    assert (ran.code, ran.stdout) == (0, "ada\n")
    assert model_in(models, "ada")
    assert tree(release, times=True) == before


def test_same_model_as_a_build(release, ada, tiny_gguf, models, tmp_path):
    """Registering gives the manifest that building into the store gives, byte for byte."""
    run("register", release, "first")
    run("build", ada, "second", "--base", tiny_gguf, "--via", "store")
    assert digest_in(models, "first") == digest_in(models, "second")


def test_name_from_the_folder(release, models):
    """Without a name the folder's is taken; --name and NAME are the same."""
    assert run("register", release).stdout == "release\n"
    assert run("register", release, "--name", "ada").stdout == "ada\n"
    assert run("register", release, "ada", "--name", "bob").code == 2


def test_store_option_beats_the_environment(release, models, tmp_path):
    """--store is written, OLLAMA_MODELS is not."""
    ran = run("register", release, "ada", "--via", "store", "--store", tmp_path / "elsewhere")
    assert ran.code == 0
    assert model_in(tmp_path / "elsewhere", "ada")
    assert not models.exists()


def test_base_of_a_store(smol, models, smol_gguf, tmp_path):
    """A base known by name is looked up in the store."""
    run("build", smol, "--via", "folder", "--out", tmp_path / "release")
    add_base(models, smol_gguf, "smollm2", "135m")
    assert run("register", tmp_path / "release", "ada", "--via", "store").code == 0
    assert [layer["from"] for layer in model_in(models, "ada")["layers"] if "from" in layer]


def test_another_base_of_that_name(smol, models, tiny_gguf, tmp_path):
    """A base in the store that the adapter does not fit fails the proof; nothing is registered."""
    run("build", smol, "--via", "folder", "--out", tmp_path / "release")
    add_base(models, tiny_gguf, "smollm2", "135m")
    ran = run("register", tmp_path / "release", "ada", "--via", "store")
    assert ran.code == 5
    assert "smollm2:135m is not the base this adapter was trained on" in ran.stderr
    assert "blk.0.attn_q.weight" in ran.stderr


def test_json_and_quiet(release):
    """--json prints one document; -q says nothing on stderr."""
    document = run("register", release, "ada", "--json").document
    assert (document["kind"], document["schema_version"], document["name"]) == ("register", 1, "ada")
    assert document["delivery"]["via"] == "store"
    assert run("register", release, "ada", "-q").stderr == ""


DAMAGES = {
    "no Modelfile": (lambda folder: (folder / "Modelfile.txt").unlink(), 3, "There is no Modelfile.txt here"),
    "no GGUF": (lambda folder: (folder / "adapter_model.gguf").unlink(), 3, "adapter_model.gguf"),
    "half a GGUF": (
        lambda folder: (folder / "adapter_model.gguf").write_bytes(
            (folder / "adapter_model.gguf").read_bytes()[:3000]
        ),
        3,
        "adapter_model.gguf",
    ),
    "no ADAPTER": (
        lambda folder: (folder / "Modelfile.txt").write_text("FROM vicuna:7b\n"),
        3,
        "There is no ADAPTER line",
    ),
    "ADAPTER is a base": (
        lambda folder: (folder / "Modelfile.txt").write_text(
            (folder / "Modelfile.txt").read_text().replace("./adapter_model.gguf", "../base.gguf")
        ),
        3,
        "not a GGUF LoRA",
    ),
    "base is gone": (
        lambda folder: (folder / "Modelfile.txt").write_text(
            "FROM ./gone.gguf\nADAPTER ./adapter_model.gguf\n"
        ),
        3,
        "gone.gguf",
    ),
    "base nobody has": (
        lambda folder: (folder / "Modelfile.txt").write_text(
            "FROM vicuna:7b\nADAPTER ./adapter_model.gguf\n"
        ),
        6,
        "ollama pull vicuna:7b",
    ),
    "name too long for a file": (
        lambda folder: (folder / "Modelfile.txt").write_text(
            f"FROM {'a' * 300}\nADAPTER ./adapter_model.gguf\n"
        ),
        3,
        "has 300 characters",
    ),
}


@pytest.mark.parametrize("case", DAMAGES.values(), ids=DAMAGES)
def test_damaged_folder(release, tiny_gguf, models, tmp_path, case):
    """A folder that is not whole is told, and no store is begun."""
    spoil, code, told = case
    (tmp_path / "base.gguf").write_bytes(tiny_gguf.read_bytes())
    (release / "ollama-pack.lock").unlink()  # what a lock adds is in test_verify_command.py
    spoil(release)
    before = tree(release)
    ran = run("register", release, "ada", "--via", "store")
    assert (ran.code, ran.stdout) == (code, "")
    assert told in ran.stderr
    assert tree(release) == before
    assert not models.exists()


def test_missing_folder(tmp_path, models):
    """A folder that is not there is damaged input."""
    ran = run("register", tmp_path / "nowhere", "ada")
    assert (ran.code, ran.stdout) == (2, "")
    assert not models.exists()
