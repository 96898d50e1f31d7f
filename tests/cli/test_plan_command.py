"""``ollama-pack plan``: the same as --dry-run, for every command that has it, and nothing changes."""

import json

import pytest
from recipes import write_adapter
from terminal import run, tree

CALLS = {
    "a model": ("build", "{ada}"),
    "a model by default": ("", "{ada}"),
    "a folder": ("build", "{ada}", "--via", "folder"),
    "several": ("build", "--each", "{ada}", "{grace}"),
    "a release": ("release", "{ada}", "ada:1", "--out", "dist", "--no-report"),
    "releases": ("release", "--each", "{ada}", "{grace}", "--tag", "1", "--out", "dist"),
}


@pytest.fixture
def words(tmp_path, tiny_tag):
    """Return a function that puts the adapters into the words of a call."""
    places = {
        name: write_adapter(tmp_path / f"{name}-lora", modules=("v_proj",)) for name in ("ada", "grace")
    }

    def fill(call):
        return [*(word.format(**places) for word in call if word), "--base", tiny_tag]

    return fill


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_it_is_the_dry_run(call, words, alone, tmp_path):
    """Both print the same, as text and as JSON, and leave every file as it was."""
    dry_run = (call[0] or "build", *words(call)[bool(call[0]) :], "--dry-run")
    before = tree(tmp_path, times=True)
    planned, dry = (
        run("plan", *words(call)),
        run(call[0] or "build", *words(call)[bool(call[0]) :], "--dry-run"),
    )
    assert (planned.code, planned.stdout) == (0, dry.stdout)
    assert planned.stderr == dry.stderr
    document = run("plan", *words(call), "--json").document
    assert document["kind"] in ("plan", "plans")
    assert document == run(*dry_run, "--json").document
    assert tree(tmp_path, times=True) == before


def test_what_is_there_is_not_moved(words, alone):
    """The plan has the delivery and the bytes, and after the build says that they are present."""
    first = run("plan", *words(("{ada}",)))
    assert "via store" in first.stderr
    assert "to create ada in" in first.stdout.replace("\n", " ")
    assert run("build", *words(("{ada}",))).code == 0
    told = run("plan", *words(("{ada}",)))
    assert told.stdout.count("present") > first.stdout.count("present")
    assert "to replace ada in" in told.stdout.replace("\n", " ")


def test_a_project(alone, tiny_tag):
    """Without words, the models of ollama-pack.toml are planned; --config names another file."""
    write_adapter(alone / "ada-lora", modules=("v_proj",))
    tables = (f'[options]\nbase = "{tiny_tag}"', '[commands.release]\nout = "dist"', "[models.ada-lora]")
    (alone / "ollama-pack.toml").write_text("\n".join(tables))
    assert [each["name"] for each in run("plan", "--json").document["plans"]] == ["ada-lora"]
    (alone / "ollama-pack.toml").rename(alone / "other.toml")
    document = run("plan", "--config", "other.toml", "release", "--json").document
    assert [each["name"] for each in document["plans"]] == ["ada-lora"]
    assert not (alone / "dist").exists()


def test_remove_is_planned(words):
    """A command that removes says what would go, and removes nothing."""
    assert run("build", *words(("{ada}",))).code == 0
    assert run("plan", "remove", "ada", "--json").document["kind"] == "remove"
    assert run("versions", "ada").code == 0


def test_what_has_no_plan(words):
    """A command without --dry-run is told with those that have it; a wrong word is wrong usage."""
    ran = run("plan", "versions", "ada")
    assert (ran.code, "These commands have it: build, release, push, remove" in ran.stderr) == (2, True)
    assert run("plan", "build", "--fly").code == 2
    assert json.loads(run("plan", "build", "--json").stdout)["kind"] == "error"


def test_no_other_command_is_loaded(monkeypatch):
    """The plan of a command loads that command alone."""
    from ollama_pack.cli.app import Commands

    loaded = []
    load = Commands.get_command
    monkeypatch.setattr(Commands, "get_command", lambda *words: loaded.append(words[-1]) or load(*words))
    run("plan", "remove", "nothing-of-this-name")
    assert loaded == ["plan", "remove"]
