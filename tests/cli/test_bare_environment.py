"""Environments that lack what every program expects, and values of theirs that are none."""

import json

import fake_web
import pytest
from terminal import NOBODY, environment, run, spawn

NOBODY_AT_HOME = """
import os, pwd, runpy
os.environ.pop("HOME", None)
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
runpy.run_module("ollama_pack", run_name="__main__")
"""
"""Runs the command line as a container without an entry for its user does."""


def without_home(*words):
    """Run a command without a home directory and without an entry for the user."""
    hidden = {"OLLAMA_MODELS": "", "HF_HUB_CACHE": "", "HF_HOME": "", "OLLAMA_HOST": "", "XDG_DATA_HOME": ""}
    return spawn(*words, code=NOBODY_AT_HOME, env=environment(**hidden))


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (("build", "ADA", "--base", "BASE", "--via", "folder"), (0,)),
        (("build", "ADA", "--dry-run"), (2, 3, 4)),
        (("inspect", "ADA", "--base", "BASE"), (0,)),
        (("convert", "ADA", "--base", "BASE"), (0,)),
        (("modelfile", "ADA", "--base", "BASE"), (0,)),
        (("doctor",), (0, 6)),
        (("bases", "smol"), (0,)),
        (("versions", "no-such-model-here"), (6, 2)),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value[0], str) else "",
)
def test_without_a_home(words, codes, ada, tiny_gguf):
    """Without HOME and without an entry for the user, every command does its work or says what it lacks."""
    ran = without_home(*({"ADA": ada, "BASE": tiny_gguf}.get(word, word) for word in words))
    assert "Traceback" not in ran.stderr
    assert ran.code in codes, ran.stderr


@pytest.mark.parametrize("path", ["~nosuchuser/x", "~nosuchuser/x.gguf", "~nosuchuser", "~/x"])
@pytest.mark.parametrize("place", ["--base", "FROM", "adapter", "--template", "--store", "directory"])
def test_a_home_that_nobody_has(path, place, ada, tiny_gguf):
    """The home of a user who does not exist is a path at which nothing is, wherever it is written."""
    words = ["build", ada, "--base", tiny_gguf, "--dry-run"]
    if place == "FROM":
        (ada / "Modelfile.txt").write_text(f"FROM {path}\n")
        words = ["build", ada, "--dry-run"]
    elif place == "adapter":
        config = json.loads((ada / "adapter_config.json").read_text())
        (ada / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": path}))
        words = ["build", ada, "--dry-run"]
    elif place == "directory":
        words = ["build", path]
    else:
        words += [place, path]
    ran = run(*words)
    assert ran.code in (0, 2, 3, 4, 6)


@pytest.mark.parametrize("name", ["OLLAMA_HOST", "HF_ENDPOINT"])
@pytest.mark.parametrize(
    "value", ["[", "http://[::1", "http://[", "]", "http://h:port", "http://h:99999", "☃", "http://a..b"]
)
def test_an_address_that_is_broken(name, value, smol, monkeypatch):
    """A broken address is told with its variable, by a command that asks there."""
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("OLLAMA_HOST", value if name == "OLLAMA_HOST" else NOBODY)
    ran = run("build", smol, "--online", "--base", "ada/unknown", "--dry-run")
    assert ran.code in (2, 6)
    known = value in ("http://h:port", "http://h:99999", "☃") and name == "OLLAMA_HOST"  # as Ollama reads it
    assert f"{name} is not an address" in ran.stderr or known or "does not answer" in ran.stderr


@pytest.mark.parametrize(
    "digest", ["sha256:" + "a" * 63 + "\n", "sha256:a\n" + "a" * 62, "../../x", "☃", "", "sha256:" + "A" * 64]
)
def test_a_digest_of_a_registry(digest, ada):
    """A manifest with a digest that is none is told, and nothing is asked for by it."""
    with fake_web.running() as web:
        web.model("me/tiny", b"GGUF")
        path = "/v2/me/tiny/manifests/latest"
        manifest = json.loads(web.files[path])
        manifest["layers"][0]["digest"] = digest
        web.files[path] = json.dumps(manifest).encode()
        ran = run("build", ada, "--online", "--base", f"{web.host}/me/tiny", "--dry-run")
        assert ran.code in (3, 4)
        assert "is not a GGUF model" in ran.stderr
        assert [asked for asked, *_ in web.asked if "/blobs/" in asked] == []
