"""Every model of ollama-pack.toml has a name and a folder of its own, or it is told before one is made."""

import shutil

import pytest
from terminal import run
from three_models import MODELS, names_of


def test_the_name_of_a_model(project, models):
    """``name`` is the name of the model, for every command; without it that of the table is."""
    text = MODELS.replace("[models.babbage]\n", '[models.babbage]\nname = "team/charles:3"\n')
    (project / "ollama-pack.toml").write_text(text.replace("[options]", '[options]\nname = "of-no-table"'))
    assert names_of(run("release", "--json").document) == ["ada:1.0.0", "team/charles:3", "grace:2.0.0"]
    assert (project / "dist" / "charles" / "3" / "release.json").is_file()
    for words in ((), ("--each", "babbage-lora")):
        assert "team/charles:3" in names_of(run("build", *words, "--dry-run", "--json").document, "plans")
    assert run("build", "babbage-lora", "--dry-run", "--json").document["name"] == "team/charles:3"
    told = run("config", "babbage-lora").stdout
    assert "team/charles:3  (file ollama-pack.toml, line " in told
    assert run("build", "ada-lora", "--dry-run", "--json").document["name"] == "ada:1.0.0"
    (project / "linus-lora").mkdir()
    shutil.copytree(project / "ada-lora", project / "linus-lora", dirs_exist_ok=True)
    assert run("build", "linus-lora", "--dry-run", "--json").document["name"] == "of-no-table:1.0.0"


SAME = {
    "by their case": ("Ada", "", "ada and Ada would both become the model Ada:1.0.0"),
    "by a tag that is given": ('"ADA:1.0.0"', "", "ada and ADA:1.0.0 would both become the model ADA:1.0.0"),
    "by the key": ("countess", 'name = "ada:1.0.0"', "ada and countess would both become"),
    "in a folder": ("countess", 'name = "team/ADA"', "ada and countess would both be written to dist/ADA/"),
    "in the other's folder": (
        "countess",
        'name = "ada:latest"',
        "The folders of ada and countess would be one in the other: dist/ada/1.0.0 and dist/ada.",
    ),
}


@pytest.mark.parametrize(("table", "key", "what"), SAME.values(), ids=SAME)
def test_names_that_collide(project, table, key, what):
    """Two models of one name or folder are told with the line, before one is made; the hint is right."""
    more = f'\n[models.{table}]\ndirectory = "babbage-lora"\n'
    (project / "ollama-pack.toml").write_text(f"{MODELS}{more}{key}\n")
    ran = run("release", "--json")
    assert (ran.code, ran.document["code"]) == (2, "same-name")
    assert what in ran.document["what"].replace("\n", " ")
    assert ran.document["where"].startswith("ollama-pack.toml, line 22: models.")
    assert not (project / "dist").exists()
    name = ran.document["try"].partition("  in its table")[0]
    (project / "ollama-pack.toml").write_text(f"{MODELS}{more}{name}\n")
    assert len(names_of(run("release", "--dry-run", "--json").document, "plans")) == 4


def test_one_folder_for_two(project):
    """Two models of one adapter cannot both be in DIR/ollama; with --out each has a folder."""
    with (project / "ollama-pack.toml").open("a") as file:
        file.write('\n[models.countess]\ndirectory = "ada-lora"\n')
    ran = run("build", "--via", "folder", "--json")
    assert (ran.code, "would both be written to ada-lora/ollama" in ran.document["what"]) == (2, True)
    assert ran.document["try"] == "--out DIR  gives each model a folder of its own"
    assert run("build", "--via", "folder", "--out", "dist").code == 0
    assert (project / "dist" / "countess" / "1.0.0" / "Modelfile.txt").is_file()


def test_two_failures_of_one_adapter(project):
    """What failed is told by its table, too."""
    with (project / "ollama-pack.toml").open("a") as file:
        file.write('\n[models.countess]\ndirectory = "ada-lora"\nbase = "none-such"\n')
    ran = run("release", "--json")
    (failed,) = ran.document["failed"]
    assert (failed["directory"], failed["model"]) == ("ada-lora as countess", "countess")
    assert "ada-lora as ada: ada:1.0.0" in ran.stderr


def test_a_name_that_ollama_takes(project):
    """The name that a hint offers in place of a wrong one is accepted."""
    path = project / "ollama-pack.toml"
    path.write_text(MODELS + 'name = "a b"\n')
    name = run("release", "--json").document["try"].removeprefix("the name ")
    path.write_text(f'{MODELS}name = "{name}"\n')
    assert names_of(run("release", "--dry-run", "--json").document, "plans")[2] == "a-b:1.0.0"


def test_not_in_another_release(ada, dist, tiny_tag):
    """A release in the folder of another would be a stray file there; a directory elsewhere is taken."""
    call = ("release", ada, "ada:2", "--base", tiny_tag, "--no-report", "--out")
    ran = run(*call, dist / "2", "--json")
    assert (ran.code, ran.document["try"]) == (7, "--out DIR, with a directory that is in no release")
    assert not (dist / "2").exists()
    assert run("verify", dist).code == 0
    assert run(*call, dist.with_name("other")).code == 0
