"""``versions``, ``rollback`` and ``remove``: what a user sees of a model's past."""

import json
import os
import pty
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from terminal import NOBODY, run, spawn, tree

from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path


@pytest.fixture
def twice(ada, models, tiny_gguf):
    """Build a model twice, otherwise the second time, and return how both builds ended."""
    where = ("--base", str(tiny_gguf), "--via", "store", "--store", str(models))
    return [run("build", str(ada), "ada", *where, "--system", words) for words in ("Old.", "New.")]


def test_a_past_and_back(twice, models):
    """A replaced model is listed, comes back, and the new one is listed then."""
    assert [ran.code for ran in twice] == [0, 0]
    assert "the previous model is kept as ada:latest-" in twice[1].stderr
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
    assert (missing.code, missing.stdout) == (2, "")
    assert "There is no model ada." in missing.stderr


def test_an_empty_version_is_an_unset_variable(twice, models):
    """It changes nothing, and is a matter of usage."""
    before = run("versions", "ada", "--store", str(models)).stdout
    for version in ("", "  "):
        ran = run("rollback", "ada", version, "--store", str(models))
        assert (ran.code, ran.stdout) == (2, "")
        assert "the value is empty" in ran.stderr
    assert run("versions", "ada", "--store", str(models)).stdout == before


@pytest.mark.parametrize(
    "spell", ["sha256:{d}", "{d}", "{d8}", "latest-{d8}", "ada:latest-{d8}", "ADA:latest-{d8}"]
)
def test_a_version_has_many_names(spell, twice, models):
    """Digest, its beginning, with its algorithm, tag and whole name all mean it."""
    rows = json.loads(run("versions", "ada", "--json", "--store", str(models)).stdout)["versions"]
    digest = rows[1]["digest"].removeprefix("sha256:")
    ran = run("rollback", "ada", spell.format(d=digest, d8=digest[:8]), "--store", str(models))
    assert ran.code == 0, ran.stderr
    again = json.loads(run("versions", "ada", "--json", "--store", str(models)).stdout)["versions"]
    assert again[0]["digest"] == rows[1]["digest"]


def test_what_it_is_already(twice, models):
    """The current digest is no version, and that is said as it is."""
    rows = run("versions", "ada", "--store", str(models)).stdout.splitlines()
    current, kept = (row.split()[1] for row in rows)
    ran = run("rollback", "ada", current, "--store", str(models))
    assert (ran.code, ran.stdout) == (2, "")
    assert f"ada is already at version {current}." in ran.stderr
    assert f"one of {kept[:8]}" in ran.stderr


def test_the_model_is_gone_and_its_past_is_not(twice, models):
    """What is kept is listed, with the command that brings it back."""
    manifest_path(models, parse_name("ada")).unlink()
    ran = run("versions", "ada", "--store", str(models))
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["kept"]
    command = f"ollama-pack rollback ada --store {models}"
    assert command in ran.stderr
    assert run(*command.split()[1:]).code == 0
    assert run("versions", "ada", "--store", str(models)).stdout.startswith("current")


def test_quiet(twice, models):
    """With -q only the results are said."""
    assert run("rollback", "ada", "-q", "--store", str(models)).stderr == ""
    ran = run("remove", "ada", "-q", "--store", str(models))
    assert (ran.code, ran.stderr, len(ran.stdout.splitlines())) == (0, "", 2)


def test_what_removing_leaves_is_told(twice, models, tiny_gguf):
    """A model of the user's that a build replaced stays, and blobs wait for Ollama to tidy."""
    document = json.loads(manifest_path(models, parse_name("ada")).read_bytes())
    document["layers"] = [layer for layer in document["layers"] if "adapter" not in layer["mediaType"]]
    own = manifest_path(models, parse_name("own"))
    own.parent.mkdir()
    own.write_text(json.dumps(document))
    adapter = next(models.parent.glob("*/adapter_config.json")).parent
    where = ("--base", str(tiny_gguf), "--via", "store", "--store", str(models))
    assert run("build", str(adapter), "own", *where).code == 0
    ran = run("remove", "own", "--store", str(models))
    assert ran.stdout == "own\n"
    assert "own:latest-" in ran.stderr
    assert "no adapter" in ran.stderr
    assert "Ollama removes them when it starts" in ran.stderr


def test_names_that_are_like_it(twice, models):
    """A slip of the pen is answered with the names that are there, and no name is made up."""
    ran = run("versions", "adda", "--store", str(models))
    assert "ada" in ran.stderr.splitlines()[-1]
    assert "try:" not in run("versions", "a b", "--store", str(models)).stderr
    assert "try:" not in run("versions", "", "--store", str(models)).stderr


@pytest.mark.parametrize("named", [False, True], ids=["default address", "named"])
@pytest.mark.parametrize("command", ["versions", "rollback", "remove"])
def test_something_else_answers(command, named, twice, models, monkeypatch):
    """What answers is no Ollama: the store is looked into, as a build does, unless OLLAMA_HOST names it."""
    handler = type("Handler", (BaseHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr("ollama_pack.ollama.address.DEFAULT_PORT", server.server_port)
        if named:
            monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1")
        monkeypatch.setenv("OLLAMA_MODELS", str(models))
        ran = run(command, "ada")
        server.shutdown()
        thread.join()
    assert (ran.code, "ada" in ran.stdout) == ((6, False) if named else (0, True))


@pytest.mark.parametrize("command", ["versions", "rollback", "remove"])
def test_a_named_daemon_that_is_down(command, twice, models, monkeypatch):
    """It is not replaced by a store of this machine; the option that the hint names uses the store."""
    monkeypatch.setenv("OLLAMA_HOST", NOBODY)
    monkeypatch.setenv("OLLAMA_MODELS", str(models))
    ran = run(command, "ada")
    assert ran.code == 6
    assert "No Ollama daemon answers, but OLLAMA_HOST names it." in ran.stderr
    assert "--store DIR  uses a store of this machine" in ran.stderr
    assert run(command, "ada", "--store", models).code == 0


@pytest.mark.parametrize("host", ["256.1.1.1", "user:secret@127.0.0.1:1"])
@pytest.mark.parametrize("command", ["versions", "doctor"])
def test_an_address_that_is_none(command, host, monkeypatch):
    """It is told, without a traceback, and no password is repeated."""
    monkeypatch.setenv("OLLAMA_HOST", host)
    ran = run(*((command, "ada") if command == "versions" else (command,)))
    assert ran.code == 2
    assert "OLLAMA_HOST" in ran.stderr
    assert "secret" not in ran.stderr + ran.stdout


@pytest.mark.parametrize("host", ["256.1.1.1", "☃.example"])
def test_an_address_in_a_process_of_its_own(host):
    """The library for Ollama reads OLLAMA_HOST while it is imported, which happens once in a process."""
    command = [sys.executable, "-m", "ollama_pack", "versions", "ada"]
    ran = subprocess.run(
        command, env=os.environ | {"OLLAMA_HOST": host}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, "OLLAMA_HOST is not an address." in ran.stderr) == (2, True), ran.stderr


@pytest.mark.parametrize("command", ["versions", "rollback", "remove"])
def test_nowhere(command):
    """Without a daemon and without a store it is told where was looked."""
    ran = run(command, "ada")
    assert ran.code == 6
    assert "127.0.0.1" in ran.stderr


@pytest.mark.parametrize("command", ["versions", "rollback", "remove"])
def test_no_name(command, models, twice):
    """A name Ollama would refuse is refused, and a model that is not there is told."""
    assert run(command, "a b", "--store", str(models)).code == 2
    assert run(command, "babbage", "--store", str(models)).code == 2


def removed_at_a_terminal(models, answer, *options):
    """Run `remove ada` with a terminal as its input, on which somebody types the answer."""
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answer)
        return spawn("remove", "ada", "--store", models, *options, stdin=terminal)
    finally:
        os.close(terminal)
        os.close(keyboard)


def test_remove_asks_at_a_terminal(twice, models):
    """The names that go are shown first; without a yes nothing is removed, and --yes does not ask."""
    before = tree(models)
    for answer in (b"n\n", b"\n"):
        ran = removed_at_a_terminal(models, answer)
        assert (ran.code, ran.stdout) == (7, "")
        assert "This removes ada, and its earlier version ada:latest-" in ran.stderr
        assert "Nothing was removed." in ran.stderr
        assert tree(models) == before
    ran = removed_at_a_terminal(models, b"", "--dry-run")
    assert ran.code == 0
    first, version = ran.stdout.splitlines()
    assert (first, version.startswith("ada:latest-")) == ("ada", True)
    assert tree(models) == before
    assert run("remove", "ada", "--store", models, "--dry-run", "--json").document["dry_run"]
    assert removed_at_a_terminal(models, b"", "--yes").stdout == ran.stdout
    assert run("versions", "ada", "--store", models).code == 2


def test_remove_does_what_it_is_told_at_a_terminal(twice, models):
    """A yes removes the model and its versions."""
    ran = removed_at_a_terminal(models, b"y\n")
    assert (ran.code, len(ran.stdout.splitlines())) == (0, 2)
    assert run("versions", "ada", "--store", models).code == 2
