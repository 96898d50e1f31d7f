"""``doctor``: one screen, one document, and an exit code for scripts."""

import json

from terminal import run


def test_one_screen(ada, models, tiny_gguf):
    """Deliveries, store and runner have a line each, and every finding a fix."""
    assert run("build", ada, "ada", "--base", tiny_gguf, "--via", "store").code == 0
    ran = run("doctor")
    assert (ran.code, ran.stderr) == (0, "")
    labels = [line[:10].strip() for line in ran.stdout.splitlines() if line]
    assert labels == ["daemon", "delivery", "delivery", "delivery", "store", "runner", "warning", "fix"]
    assert f"{models}  manifests, owner " in ran.stdout
    assert "1 model, 1 with an adapter" in ran.stdout
    assert "store   works" in ran.stdout


def test_json(ada, models, tiny_gguf):
    """The same as one document."""
    run("build", ada, "ada", "--base", tiny_gguf, "--via", "store")
    document = json.loads(run("doctor", "--json").stdout)
    assert document["kind"] == "doctor"
    assert document["stores"][0]["adapted"] == ["ada"]
    assert {way["via"]: way["open"] for way in document["ways"]} == {
        "create": False,
        "pull": False,
        "store": True,
    }
    assert set(document["findings"][0]) == {"level", "about", "what", "fix"}


def test_closed(tmp_path):
    """If no delivery works, the exit code says so."""
    (tmp_path / "file").touch()
    ran = run("doctor", "--store", tmp_path / "file" / "models")
    assert ran.code == 6
    assert "none of create, pull and store works" in ran.stdout
