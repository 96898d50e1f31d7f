"""ollama-pack.toml: a repository of many adapters is one command, and what is wrong in it is told first."""

import json
import shutil

import pytest
from terminal import digest_in, model_in, run, tree
from three_models import MODELS, NAMES, names_of


def test_one_command(project):
    """All releases are made with the values of the file, each in a directory of its name and version."""
    document = run("release", "--json").document
    assert names_of(document) == ["ada:1.0.0", "babbage:1.0.0", "grace:2.0.0"]
    written = {
        name: (project / "dist" / name / version / "Modelfile.txt").read_text()
        for name, version in (("ada", "1.0.0"), ("babbage", "1.0.0"), ("grace", "2.0.0"))
    }
    assert all("PARAMETER temperature 0.5" in text for text in written.values())
    assert ["PARAMETER num_ctx 2048" in written[name] for name in NAMES] == [True, False, False]
    assert ["You are Babbage." in written[name] for name in NAMES] == [False, True, False]
    record = json.loads((project / "dist" / "grace" / "2.0.0" / "release.json").read_text())
    assert (record["model"], record["options"]["outtype"]) == ("grace:2.0.0", "f32")
    assert run("verify", project / "dist" / "ada" / "1.0.0").code == 0


def test_only_what_changed_and_a_failure(project):
    """A second run makes nothing; a value of one model makes that one anew; a failure leaves the others."""
    run("release")
    before = tree(project / "dist", times=True)
    again = run("release")
    assert (again.code, "3 of 3 succeeded" in again.stderr) == (0, True)
    assert tree(project / "dist", times=True) == before
    (project / "ollama-pack.toml").write_text(MODELS.replace("You are Babbage.", "You are Charles."))
    shutil.rmtree(project / "grace-lora")
    ran = run("release", "--json")
    assert ran.code == 2
    assert (names_of(ran.document), names_of(ran.document, "unchanged")) == (["babbage:1.0.0"], ["ada:1.0.0"])
    assert [each["directory"] for each in ran.document["failed"]] == ["grace-lora"]
    assert "2 of 3 succeeded" in ran.stderr


def test_two_models_of_one_adapter(project):
    """Each is made with its own values; a command that names their directory cannot mean both."""
    more = '[models.countess]\ndirectory = "ada-lora"\nsystem = "You are a countess."\n'
    with (project / "ollama-pack.toml").open("a") as file:
        file.write(f"\n{more}")
    assert names_of(run("release", "--json").document)[::3] == ["ada:1.0.0", "countess:1.0.0"]
    said = [(project / "dist" / name / "1.0.0" / "Modelfile.txt").read_text() for name in ("ada", "countess")]
    assert ["You are a countess." in text for text in said] == [False, True]
    ran = run("build", "ada-lora", "--dry-run")
    assert (ran.code, "ada and countess are made of" in ran.stderr) == (2, True), ran.stderr


def test_what_is_typed_counts_for_all(project):
    """An option that is typed counts more than what the file says of any model."""
    ran = run("release", "--system", "Be kind.", "--tag", "3.0.0", "--out", project / "typed", "--json")
    assert names_of(ran.document) == [f"{name}:3.0.0" for name in NAMES]
    for name in NAMES:
        assert "Be kind." in (project / "typed" / name / "3.0.0" / "Modelfile.txt").read_text()


def test_one_of_them(project, models):
    """A command that names the directory of a model uses what the file says of it."""
    built = run("build", "grace-lora", "--no-load", "--json").document
    assert built["name"] == "grace:2.0.0"
    assert model_in(models, "grace", "2.0.0")
    named = run("build", "babbage-lora", "charles", "--no-load", "--json").document
    assert named["name"] == "charles:1.0.0"
    text = run("modelfile", "babbage-lora").stdout
    assert "You are Babbage." in text
    assert "You are Babbage." not in run("modelfile", "ada-lora").stdout


def test_build_makes_all(project, models):
    """``build`` without DIR builds every model; a typed list of directories uses the same values."""
    assert names_of(run("build", "--json").document, "builds") == [
        "ada:1.0.0",
        "babbage:1.0.0",
        "grace:2.0.0",
    ]
    before = digest_in(models, "babbage", "1.0.0")
    each = run("build", "--each", "ada-lora", "babbage-lora", "--json").document
    assert names_of(each, "builds") == ["ada:1.0.0", "babbage:1.0.0"]
    assert digest_in(models, "babbage", "1.0.0") == before


def test_for_one_model_only(project):
    """A name or a weight cannot be that of several models."""
    assert run("release", "--name", "x").code == 2
    assert run("build", "--weight", "1").code == 2


def test_no_file_and_no_directory(alone):
    """Then DIR is missing, as the usage says."""
    ran = run("release", "--out", "dist")
    assert (ran.code, "Missing argument 'DIR'" in ran.stderr) == (2, True)
    (alone / "ollama-pack.toml").write_text('[options]\nbase = "tiny"\n')
    assert run("release", "--out", "dist").code == 2


def test_two_versions(project):
    """A version that is typed twice is a contradiction; one of the file is not."""
    assert run("build", "ada-lora", "ada:1", "--tag", "2", "--dry-run").code == 2
    assert run("build", "ada-lora", "ada:1", "--dry-run", "--json").document["name"] == "ada:1"
    assert run("build", "grace-lora", "--tag", "3", "--dry-run", "--json").document["name"] == "grace:3"


WRONG = {
    "unknown table": ("[options]", "[option]", "line 1: option", "write options"),
    "misspelt": ("system", "sytem", "line 16: models.babbage.sytem", "write system"),
    "underscore": ("outtype", "out_type", "line 20: models.grace:2.0.0.out_type", "write outtype"),
    "unknown command": ("commands.release", "commands.relase", "line 6: commands.relase", "write release"),
    "of another command": (
        'out = "dist"',
        "online = true\nfly = 1",
        "line 8: commands.release.fly",
        "the keys are",
    ),
    "own meaning": ('tag = "1.0.0"', 'out = "x"', "line 3: options.out", "write it into [commands.build]"),
    "a flag that is a text": ("report = false", 'report = "no"', "line 8: commands.release.report", ""),
    "a number that is a list": ('"f32"', "[1]", "line 20: models.grace:2.0.0.outtype", ""),
    "a date": ('"f32"', "2026-01-01", "line 20: models.grace:2.0.0.outtype", ""),
    "a choice": ('"f32"', '"f8"', "line 20: models.grace:2.0.0.outtype", ""),
    "a number": ('"f32"', '"f32"\nscale = "big"', "line 21: models.grace:2.0.0.scale", ""),
    "directory": ('"grace-lora"', "3", "line 19: models.grace:2.0.0.directory", ""),
    "targets": ('outtype = "f32"', 'targets = "x"', "line 20: models.grace:2.0.0.targets", ""),
    "yes": ('base = "tiny"', "yes = true", "line 2: options.yes", ""),
    "name": ('outtype = "f32"', 'name = "a b"', "line 20: models.grace:2.0.0.name", "the name a-b"),
    "name of a table": ("models.babbage", 'models."a b"', "line 14: models.a b", "the name a-b"),
    "no name": ('outtype = "f32"', "name = 3", "line 20: models.grace:2.0.0.name", ""),
    "no TOML": ("[options]", "[options", "line 1", ""),
}


@pytest.mark.parametrize(("old", "new", "where", "hint"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_the_file(project, old, new, where, hint):
    """Nothing is made, and the error names the file, the line and the key, and the nearest key there is."""
    (project / "ollama-pack.toml").write_text(MODELS.replace(old, new, 1))
    ran = run("release", "--json")
    assert ran.code in (2, 3)
    error = ran.document
    assert where in f"{error['where']} {error['what']}"
    assert error["where"].startswith("ollama-pack.toml")
    assert hint in error["try"]
    assert not (project / "dist").exists()


def test_the_hint_is_right(project):
    """What a hint says to write is accepted."""
    path = project / "ollama-pack.toml"
    path.write_text(MODELS.replace('tag = "1.0.0"', 'out = "x"', 1))
    hint = run("release", "--json").document["try"]
    assert hint == "write it into [commands.build]"
    path.write_text(MODELS + f'{hint.removeprefix("write it into ")}\nout = "x"\n')
    assert run("build", "ada-lora", "--via", "folder", "--json").document["delivery"]["where"].endswith("x")


def test_a_file_elsewhere(project, tmp_path, monkeypatch):
    """Named by --config, a file makes its models from another working directory, whose own is not read."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "ollama-pack.toml").write_text("[none]")
    document = run("release", "--config", project / "ollama-pack.toml", "--json").document
    assert names_of(document) == ["ada:1.0.0", "babbage:1.0.0", "grace:2.0.0"]
    assert (project / "dist" / "ada" / "1.0.0" / "release.json").is_file()
    assert list(place.iterdir()) == [place / "ollama-pack.toml"]


def test_a_name_of_the_environment_is_for_one(project, monkeypatch):
    """A job before may have set the variable of the name; several models keep their own names."""
    monkeypatch.setenv("OLLAMA_PACK_NAME", "ada-lovelace:1.0.0")
    assert names_of(run("release", "--json").document) == ["ada:1.0.0", "babbage:1.0.0", "grace:2.0.0"]
    assert run("build", "ada-lora", "--dry-run", "--json").document["name"] == "ada-lovelace:1.0.0"


def test_a_runner_is_told_of_all(project, tmp_path, monkeypatch):
    """The summary and the outputs of a job name what was made and what is unchanged, before and after."""
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name, path in files.items():
        monkeypatch.setenv(name, str(path))
    assert run("release").code == 0
    first = files["GITHUB_OUTPUT"].read_text()
    (project / "ollama-pack.toml").write_text(MODELS.replace("You are Babbage.", "You are Charles."))
    for path in files.values():
        path.unlink()
    assert run("release").code == 0
    told = [line for line in files["GITHUB_OUTPUT"].read_text().splitlines() if "ollama_pack" not in line]
    before = [line for line in first.splitlines() if "ollama_pack" not in line]
    assert told[:3] == before[:3] == ["ada:1.0.0", "babbage:1.0.0", "grace:2.0.0"]
    assert [one == other for one, other in zip(told[3:6], before[3:6], strict=True)] == [True, False, True]
    assert told[6:] == ["dist/ada/1.0.0", "dist/babbage/1.0.0", "dist/grace/2.0.0"]
    rows = [
        line.split(" | ") for line in files["GITHUB_STEP_SUMMARY"].read_text().splitlines() if "&#58;" in line
    ]
    digests = {row[0].lstrip("| "): (row[2], row[3]) for row in rows if len(row) > 3}
    assert len(digests) == 3
    assert [after == earlier for after, earlier in digests.values()] == [True, False, True]
