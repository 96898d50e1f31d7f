"""``release --each``: many adapters are one command, which makes what changed and goes on after failures."""

import json
import shutil

import pytest
from recipes import write_adapter
from terminal import run, tree
from training_run import write_run

NAMES = ("ada", "babbage", "grace")


@pytest.fixture
def collection(tmp_path):
    """Return a directory with three adapters."""
    home = tmp_path / "collection"
    for number, name in enumerate(NAMES):
        write_adapter(home / f"{name}-lora", modules=("v_proj",), config={"lora_alpha": 4 + number})
    return home


@pytest.fixture
def release_all(collection, tiny_tag, tmp_path):
    """Return a function that releases the collection, and returns the document."""

    def release(*more, code=0):
        call = ("release", "--each", *sorted(collection.iterdir()), "--base", tiny_tag, "--tag", "1.0.0")
        ran = run(*call, "--out", tmp_path / "dist", "--no-report", "--json", *more)
        assert ran.code == code, ran.stderr
        return ran.document

    return release


def made(document):
    """Return the names of models that were made, that were not, and the directories that failed."""
    names = ([each["name"] for each in document[key]] for key in ("releases", "unchanged"))
    return *names, [each["directory"].rpartition("/")[2] for each in document["failed"]]


def test_each_is_a_release(release_all, tmp_path):
    """Every adapter has a release of its own in a directory of its name and version, which verifies."""
    document = release_all()
    assert made(document) == ([f"{name}:1.0.0" for name in NAMES], [], [])
    for name in NAMES:
        assert run("verify", tmp_path / "dist" / name / "1.0.0").code == 0


def test_only_what_changed(release_all, collection, tmp_path):
    """A second run makes nothing; whatever a release is made of changes it, and nothing else does."""
    release_all()
    before = tree(tmp_path / "dist", times=True)
    assert made(release_all()) == ([], [f"{name}:1.0.0" for name in NAMES], [])
    assert tree(tmp_path / "dist", times=True) == before
    (collection / "ada-lora" / ".DS_Store").write_text("x")
    (collection / "ada-lora" / "adapter_model.safetensors").touch()
    assert made(release_all())[0] == []
    (collection / "babbage-lora" / "README.md").write_text("---\nlicense: mit\n---\n")
    assert made(release_all())[0] == ["babbage:1.0.0"]
    (tmp_path / "dist" / "grace" / "1.0.0" / "Modelfile.txt").write_text("FROM scratch")
    assert made(release_all())[0] == ["grace:1.0.0"]
    assert made(release_all())[0] == []
    assert made(release_all("--parameter", "temperature=0.5"))[0] == [f"{name}:1.0.0" for name in NAMES]


def test_another_base(release_all, models):
    """A base that moved makes all of them anew."""
    release_all()
    manifest = models / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()), indent=1))
    assert made(release_all())[0] == [f"{name}:1.0.0" for name in NAMES]


def test_merged_models(release_all, models):
    """A merged model is made anew if its base moved, and not otherwise."""
    call = ("--merge", "--no-load")
    assert made(release_all(*call))[0] == [f"{name}:1.0.0" for name in NAMES]
    assert made(release_all(*call)) == ([], [f"{name}:1.0.0" for name in NAMES], [])
    manifest = models / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()), indent=1))
    assert made(release_all(*call))[0] == [f"{name}:1.0.0" for name in NAMES]


def test_a_failure_does_not_stop_the_rest(release_all, collection, tmp_path):
    """What cannot be released is told, the others are made, and the exit code is that of the failure."""
    (collection / "babbage-lora" / "adapter_model.safetensors").write_bytes(b"x")
    document = release_all(code=3)
    assert made(document) == (["ada:1.0.0", "grace:1.0.0"], [], ["babbage-lora"])
    assert not (tmp_path / "dist" / "babbage" / "1.0.0" / "SHA256SUMS").exists()


def test_the_summary(collection, tiny_tag, tmp_path):
    """People read a line for each, and which of them were made already."""
    call = ("release", "--each", *sorted(collection.iterdir()), "--base", tiny_tag, "--no-report")
    assert run(*call, "--out", tmp_path / "dist").code == 0
    shutil.rmtree(tmp_path / "dist" / "ada")
    ran = run(*call, "--out", tmp_path / "dist")
    lines = [line.strip() for line in ran.stderr[ran.stderr.rindex("summary   ") :].splitlines()]
    assert lines == [
        "summary   3 of 3 succeeded",
        f"{collection / 'ada-lora'}: ada",
        f"{collection / 'babbage-lora'}: babbage:latest, unchanged",
        f"{collection / 'grace-lora'}: grace:latest, unchanged",
    ]


def test_dry_run_of_each(release_all, tmp_path):
    """A plan of a batch has what would be made and what is unchanged, and writes nothing."""
    release_all()
    shutil.rmtree(tmp_path / "dist" / "ada")
    before = tree(tmp_path)
    document = release_all("--dry-run")
    assert [each["name"] for each in document["plans"]] == ["ada:1.0.0"]
    assert [each["name"] for each in document["unchanged"]] == ["babbage:1.0.0", "grace:1.0.0"]
    assert tree(tmp_path) == before


def test_a_tag_is_for_each(collection, tmp_path):
    """Without --each a version stands behind the name; with it, several directories are offered as such."""
    one = sorted(collection.iterdir())[0]
    assert run("release", one, "--tag", "1", "--out", tmp_path / "d").code == 2
    ran = run("release", *sorted(collection.iterdir()), "--out", tmp_path / "d")
    assert ran.code == 2
    assert "try: ollama-pack release --each" in ran.stderr


def test_a_checkpoint_and_all_of_them(tmp_path, tiny_tag):
    """One checkpoint is released under the name that is given, or under its own; all are several releases."""
    trained = write_run(tmp_path / "ada-lora")
    words = ("release", trained, "--base", tiny_tag, "--no-report", "--out", tmp_path / "dist")
    one = run(*words, "ada:1.0.0", "--checkpoint", "checkpoint-20", "--json").document
    assert (one["name"], one["release"]["record"]["model"]) == ("ada:1.0.0", "ada:1.0.0")
    assert run("verify", tmp_path / "dist").code == 0
    assert run(*words, "--checkpoint", "20", "--json").document["name"] == "ada:checkpoint-20"
    assert run(*words, "--checkpoint", "20", "--tag", "2", "--json").document["name"] == "ada:2"
    every = run(*words[:-1], tmp_path / "all", "--checkpoint", "all", "--json").document
    assert len(every["releases"]) > 1
    for each in every["releases"]:
        assert run("verify", tmp_path / "all" / each["name"].rpartition(":")[2]).code == 0
