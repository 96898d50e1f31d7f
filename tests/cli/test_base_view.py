"""``inspect`` of a base, and ``bases`` with what is installed."""

import json

import pytest
from terminal import add_base, run


@pytest.fixture
def built(ada, models, tiny_gguf):
    """Build a model into a store, and return the store."""
    assert run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--store", models).code == 0
    return models


def test_a_file(tiny_gguf):
    """Architecture, numbers and tensors of a GGUF file, and nothing that it does not say."""
    ran = run("inspect", tiny_gguf)
    assert (ran.code, ran.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in ran.stdout.splitlines() if len(line.split()) == 2)
    assert rows["architecture"] == "llama"
    assert int(rows["blocks"]) > 0
    assert "None" not in ran.stdout
    facts = run("inspect", tiny_gguf, "--json").document
    assert (facts["kind"], facts["architecture"], facts["blocks"]) == ("base", "llama", int(rows["blocks"]))


def test_an_installed_model(built, tiny_gguf):
    """The same as of its file, with its digests and whether it has an adapter."""
    facts = run("inspect", "ada", "--store", built, "--json").document
    of_file = run("inspect", tiny_gguf, "--json").document
    assert facts["manifest"].startswith("sha256:")
    assert (built / "blobs" / facts["blob"].replace(":", "-")).is_file()
    assert facts["has_adapter"] is True
    for key in of_file.keys() - {"where", "model"}:
        assert facts[key] == of_file[key]


@pytest.mark.parametrize("name", ["nothing-here", "nothing:7b", "x/nothing"])
def test_neither(name, built):
    """What is no directory, no file and no model is told as that, with the names that are like it."""
    ran = run("inspect", name, "--store", built)
    assert (ran.code, ran.stdout) == (2, "")
    assert f"There is no directory or file {name}, and there is no model {name}." in ran.stderr
    assert "ada" in run("inspect", "adda", "--store", built).stderr


def test_a_damaged_file(tmp_path):
    """A file that is no GGUF is told."""
    (tmp_path / "x.gguf").write_bytes(b"not GGUF at all")
    ran = run("inspect", tmp_path / "x.gguf")
    assert ran.code == 3
    assert "not GGUF" in ran.stderr


def test_installed_bases_are_marked(built):
    """A star for what is there; models that no catalog knows are listed too."""
    plain = run("bases", "ada", "--store", built)
    assert "ada:latest *" in plain.stdout
    assert "No base contains" not in plain.stderr
    document = json.loads(run("bases", "vicuna", "--json", "--store", built).stdout)
    assert document["installed"] == ["ada:latest"]
    assert not any(row["installed"] for row in document["bases"])


def test_a_model_of_ones_own_is_a_base(ada, models, tiny_gguf):
    """A name that no catalog knows is looked up among what is installed: its numbers, and FROM."""
    add_base(models, tiny_gguf, "mine", "latest")
    ran = run("build", ada, "ada", "--base", "mine", "--via", "store", "--store", models, "-v")
    assert ran.code == 0, ran.stderr
    assert f"numbers from: mine:latest in {models}" in ran.stderr
    assert "FROM mine:latest" in (ada / "ollama" / "Modelfile.txt").read_text()
    assert "base proved in part: mine:latest agrees" in ran.stderr
    missing = run("build", ada, "ada", "--base", "nobodys", "--via", "store", "--store", models)
    assert missing.code != 0
