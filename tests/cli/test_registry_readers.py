"""Other clients read what was pushed: ORAS of the OCI project, modctl of CNCF's ModelPack, and KitOps."""

import json
import os
import shutil
import subprocess

import pytest
from real_registry import shared
from terminal import run

pytest.importorskip("oras", reason="the extra `oci` is not installed")

VARIABLES = {
    "oras": "OLLAMA_PACK_TEST_ORAS",
    "modctl": "OLLAMA_PACK_TEST_MODCTL",
    "kit": "OLLAMA_PACK_TEST_KIT",
}
FOUND = {name: os.environ.get(variable) or shutil.which(name) for name, variable in VARIABLES.items()}


def needs(name):
    """Return the mark of a test that asks a program."""
    why = f"NOT TESTED: no {name} here, and {VARIABLES[name]} names none"
    return pytest.mark.skipif(not FOUND[name], reason=why)


@pytest.fixture
def ask(tmp_path):
    """Return a function that asks a program in a home of its own, and returns what it says."""

    def call(name: str, *words: object) -> str:
        own = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        command = [FOUND[name], *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=own).stdout

    return call


@pytest.fixture(params=[(), ("--with-base",)], ids=["adapter", "with its base"])
def pushed(request, pushable, distribution):
    """Push a release, and return its document and its place by the tag for other programs."""
    host = distribution()
    ran = run("push", pushable, f"oci://{host}/team/ada:1", *request.param, "--json")
    assert ran.code == 0, ran.stderr
    return ran.document, f"{host}/team/ada:1{'-release' if request.param else ''}"


@needs("oras")
def test_oras_reads_a_release(pushed, pushable, ask, tmp_path):
    """It lists the release and the record that belong to what the tag names, and fetches the same files."""
    document, place = pushed
    tagged = place.removesuffix("-release")
    listed = json.loads(ask("oras", "discover", "--plain-http", "--format", "json", tagged))
    kinds = {each["artifactType"].split(".")[-2] for each in listed["referrers"]}
    assert kinds == ({"record", "manifest"} if document["ollama"] else {"record"})
    ask("oras", "pull", "--plain-http", place, "-o", tmp_path / "out")
    assert shared(tmp_path / "out") == shared(pushable)


@needs("modctl")
def test_modctl_reads_a_release(pushed, pushable, ask, tmp_path):
    """It shows the model by its name, format and family, with each file, and fetches the same files."""
    document, place = pushed
    seen = json.loads(ask("modctl", "inspect", "--remote", "--plain-http", place))
    assert (seen["Name"], seen["Format"], seen["Family"]) == ("ada", "gguf", "llama")
    assert seen["Digest"] == document["digest"]
    assert {each["Filepath"]: each["Digest"] for each in seen["Layers"]} == {
        each["name"]: each["digest"] for each in document["files"]
    }
    ask("modctl", "pull", "--plain-http", place, "--extract-dir", tmp_path / "out")
    assert shared(tmp_path / "out") == shared(pushable)


@needs("kit")
def test_kitops_reads_a_release(pushed, ask):
    """It takes the release for a model, shows its manifest, and keeps each of its blobs."""
    document, place = pushed
    ask("kit", "pull", "--plain-http", place)
    seen = json.loads(ask("kit", "inspect", "--remote", "--plain-http", place))
    assert seen["digest"] == document["digest"]
    kept = {each["digest"] for each in seen["manifest"]["layers"]}
    assert kept == {each["digest"] for each in document["files"]}
