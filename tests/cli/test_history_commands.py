"""``versions``, ``rollback`` and ``remove``: what a user sees of a model's past."""

import json

import pytest
from terminal import run


@pytest.fixture
def twice(ada, models, tiny_gguf):
    """Build a model twice, otherwise the second time, and return how both builds ended."""
    where = ("--base", str(tiny_gguf), "--via", "store", "--store", str(models))
    return [run("build", str(ada), "ada", *where, "--system", words) for words in ("Old.", "New.")]


def test_a_past_and_back(twice, models):
    """A replaced model is listed, comes back, and the new one is listed then."""
    assert [ran.code for ran in twice] == [0, 0]
    assert "the earlier one is kept as ada:latest-" in twice[1].stderr
    listed = run("versions", "ada", "--store", str(models))
    new, old = (line.split() for line in listed.stdout.splitlines())
    assert (new[0], new[-1], old[0]) == ("current", "ada", "kept")
    assert old[-1] == f"ada:latest-{old[1][:8]}"
    back = run("rollback", "ada", "--store", str(models))
    assert (back.code, back.stdout) == (0, "ada\n")
    assert f"ada is {old[1]} again" in back.stderr
    assert f"{new[1]} as ada:latest-{new[1][:8]}" in back.stderr
    again = run("versions", "ada", "--store", str(models)).stdout.splitlines()
    assert [line.split()[1] for line in again] == [old[1], new[1]]


def test_json(twice, models):
    """The same as one document each."""
    listed = json.loads(run("versions", "ada", "--json", "--store", str(models)).stdout)
    assert [row["state"] for row in listed["versions"]] == ["current", "kept"]
    back = json.loads(run("rollback", "ada", "--json", "--store", str(models)).stdout)
    assert back["kind"] == "rollback"
    assert back["versions"][0]["digest"] == listed["versions"][1]["digest"]
    gone = json.loads(run("remove", "ada", "--json", "--store", str(models)).stdout)
    assert gone["removed"][0] == "ada"
    assert len(gone["removed"]) == 2


def test_remove(twice, models):
    """The names are told, and gone."""
    ran = run("remove", "ada", "--store", str(models))
    assert ran.code == 0
    assert ran.stdout.splitlines()[0] == "ada"
    missing = run("remove", "ada", "--store", str(models))
    assert (missing.code, missing.stdout) == (3, "")
    assert "There is no model ada." in missing.stderr


@pytest.mark.parametrize("command", ["versions", "rollback", "remove"])
def test_nowhere(command):
    """Without a daemon and without a store it is told where was looked."""
    ran = run(command, "ada")
    assert ran.code == 6
    assert "127.0.0.1" in ran.stderr


@pytest.mark.parametrize("command", ["versions", "rollback", "remove"])
def test_no_name(command, models, twice):
    """A name Ollama would refuse is refused, and a model that is not there is told."""
    assert run(command, "a b", "--store", str(models)).code == 3
    assert run(command, "babbage", "--store", str(models)).code == 3
