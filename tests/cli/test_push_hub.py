"""``push DIR hf://…``: a release becomes one commit on a Hub that is played on this machine, or none."""

import subprocess
import sys
from pathlib import Path

import pytest
from played_hub import TOKEN
from terminal import run

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content")  # huggingface_hub's own call of its client
PLACE = "hf://ada/lovelace-gguf"


@pytest.fixture
def dist(ada, tiny_tag, tmp_path):
    """Return the folder of a release, whose adapter names a base on the Hub."""
    (ada / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    words = ("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", tmp_path / "dist", "--no-report")
    made = run(*words)
    assert made.code == 0, made.stderr
    return tmp_path / "dist"


def content_of(folder):
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def untouched(hub):
    """Return whether the Hub is as it was."""
    return hub.branches == {"main": "0" * 40} and len(hub.commits) == 1 and not hub.messages


def test_one_commit(hub, dist):
    """The repository has every file of the release and what it had before, by one commit with its digest."""
    ran = run("push", dist, PLACE, "--json")
    assert ran.code == 0, ran.stderr
    assert hub.files() == {**content_of(dist), **hub.files("0" * 40)}
    assert len(hub.messages) == 1
    number = hub.branches["main"]
    document = ran.document
    assert (document["place"], sorted(document["files"])) == (f"{PLACE}@{number}", sorted(content_of(dist)))
    assert document["address"] == f"{hub.address}/ada/lovelace-gguf/commit/{number}"
    assert hub.blobs, "what is large goes to the large file storage"


def test_the_card(hub, dist):
    """The card says what the Hub links a model by: its base, how it relates to it, and the library."""
    record = dist / "release.json"
    assert run("push", dist, PLACE).code == 0
    card = hub.files()["README.md"].decode()
    assert 'library_name: "gguf"' in card
    assert 'license: "apache-2.0"' in card
    trained_on = '"trained_on": ""' not in record.read_text()
    assert ('base_model_relation: "adapter"' in card) == trained_on
    assert ("base_model: " in card) == trained_on
    assert trained_on


def test_the_same_again_and_a_smaller_one(hub, dist):
    """A file of an earlier release that this one has not is removed; what is not ours stays."""
    hub.commit("main", {**hub.files(), "report.html": b"old", "notes.txt": b"mine"})
    document = run("push", dist, PLACE, "--json").document
    assert document["removed"] == ["report.html"]
    assert set(hub.files()) == {*content_of(dist), ".gitattributes", "notes.txt"}


def test_a_branch(hub, dist):
    """@BRANCH is the branch that gets the commit; one that is not there is told."""
    hub.branches["next"] = hub.branches["main"]
    assert run("push", dist, f"{PLACE}@next").code == 0
    assert set(hub.files("main")) == {".gitattributes"}
    assert "release.json" in hub.files("next")
    ran = run("push", dist, f"{PLACE}@none")
    assert (ran.code, "no branch none" in ran.stderr) == (2, True)


def test_no_repository(hub, dist):
    """What is not there is not made; after the command of the hint, it is there."""
    ran = run("push", dist, "hf://ada/other")
    assert (ran.code, "There is no such repository, or it is private." in ran.stderr) == (2, True)
    assert "hf repos create ada/other" in ran.stderr.replace("\n", " ")
    assert untouched(hub)
    program = Path(sys.executable).with_name("hf")
    subprocess.run([program, "repos", "create", "ada/other"], check=True, capture_output=True)
    assert run("push", dist, "hf://ada/other").code == 0
    assert "release.json" in hub.files()


@pytest.mark.parametrize(
    ("token", "told"),
    [("", "The Hub asks for a login"), ("hf_other", "no such repository"), ("hf_reader", "may not write")],
)
def test_tokens(hub, dist, monkeypatch, token, told):
    """Without a token, with a wrong one or one that only reads, nothing changes, and the way is told."""
    hub.readers = ("hf_reader",)
    monkeypatch.setenv("HF_TOKEN", token)
    ran = run("push", dist, PLACE)
    assert (ran.code, told in ran.stderr) == (2, True), ran.stderr
    assert "set HF_TOKEN" in ran.stderr
    assert untouched(hub)
    assert not token or token not in ran.stdout + ran.stderr
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert run("push", dist, PLACE).code == 0


@pytest.mark.parametrize("where", ["/revision/", "/preupload/", "/objects/batch", "/blobs/", "/commit/"])
def test_the_line_is_cut(hub, dist, where):
    """At whatever request the line is cut, the repository is as it was, and pushing again is enough."""
    hub.cut = where
    ran = run("push", dist, PLACE)
    assert ran.code == 6, ran.stderr
    assert "the repository is as it was" in ran.stderr.replace("\n", " ")
    assert untouched(hub)
    hub.cut = ""
    assert run("push", dist, PLACE).code == 0
    assert set(content_of(dist)) <= set(hub.files())


def test_the_line_is_cut_after_the_commit(hub, dist):
    """Then it is told that the commit is made; pushing again compares what is there, and makes no other."""
    hub.cut = "/paths-info/"
    ran = run("push", dist, PLACE)
    assert (ran.code, "The commit was made" in ran.stderr) == (6, True)
    assert len(hub.messages) == 1
    hub.cut = ""
    assert run("push", dist, PLACE).code == 0


def test_somebody_else_commits(hub, dist):
    """A commit that came in between is not overwritten; pushing again is made on top of it."""
    hub.raced = True
    ran = run("push", dist, PLACE)
    assert (ran.code, "changed the repository meanwhile" in ran.stderr) == (7, True)
    assert hub.messages == []
    hub.raced = False
    assert run("push", dist, PLACE).code == 0
    assert {"other.txt", "release.json"} <= set(hub.files())


def test_a_repository_that_ignores_files(hub, dist):
    """A .gitignore could leave out a part of the release; without it, the push is made."""
    hub.commit("main", {".gitignore": b"*.json"})
    ran = run("push", dist, PLACE)
    assert (ran.code, ".gitignore" in ran.stderr) == (7, True)
    hub.commit("main", {})
    assert run("push", dist, PLACE).code == 0


def test_a_hub_that_lies(hub, dist):
    """What the Hub has is compared with what was sent, by digest."""
    hub.lies = True
    ran = run("push", dist, PLACE)
    assert (ran.code, "on the Hub is not the one that was sent" in ran.stderr) == (5, True)
    hub.lies = False
    assert run("push", dist, PLACE).code == 0


def test_what_is_not_pushed(hub, dist, ada, tiny_tag, tmp_path):
    """A folder that lies, one without papers, and a place below the top are refused, and nothing is sent."""
    below = run("push", dist, f"{PLACE}@main/folder", "--json")
    assert (below.code, below.document["try"]) == (2, f"{PLACE}@main")
    folder = tmp_path / "folder"
    assert run("build", ada, "--base", tiny_tag, "--via", "folder", "--out", folder).code == 0
    ran = run("push", folder, PLACE)
    assert (ran.code, "ollama-pack release DIR --out FOLDER" in ran.stderr) == (2, True)
    (dist / "Modelfile.txt").write_text("FROM scratch\n")
    assert run("push", dist, PLACE).code == 5
    assert hub.asked == []


def test_no_bait_leaves(hub, dist, tmp_path, monkeypatch):
    """Nothing of this machine is in the commit: no path, no host, no token; nor is a token printed."""
    ran = run("push", dist, PLACE, "-v")
    sent = b"\n".join(hub.files().values()) + "\n".join(hub.messages).encode()
    for bait in (TOKEN, str(tmp_path), hub.address):
        assert bait.encode() not in sent
    assert TOKEN not in ran.stdout + ran.stderr
