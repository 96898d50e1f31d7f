"""``push --dry-run`` and ``plan push``: what would be moved and replaced, with bytes, and nothing is sent."""

import pytest
from real_registry import log_in
from recipes import write_adapter
from terminal import run

from ollama_pack.registry import uploads

pytest.importorskip("oras", reason="the extra `oci` is not installed")


def methods(registry):
    """Return the methods of all requests since the last call."""
    asked = {method for method, _, _ in registry.asked}
    registry.asked.clear()
    return asked


def states(document):
    """Return the state of each blob by its name."""
    return {each["name"]: each["state"] for each in document["blobs"]}


@pytest.mark.parametrize("words", [(), ("--with-base",)])
def test_the_plan_is_what_the_push_does(pushable, registry, words):
    """Its bytes are those that are sent, its tags those that are there then; a plan reads only."""
    place = f"oci://{registry.host}/team/ada:1"
    planned = run("push", pushable, place, *words, "--dry-run", "--json").document
    assert methods(registry) <= {"GET", "HEAD"}
    assert not registry.manifests and not registry.blobs and not registry.uploads
    assert set(states(planned).values()) == {"upload"}
    pushed = run("push", pushable, place, *words, "--json").document
    assert planned["bytes"] == pushed["bytes_sent"] > 0
    tags = {"1", "1-release", "1-base"} if words else {"1"}
    assert {each["name"]: each["before"] for each in planned["tags"]} == dict.fromkeys(tags, "")
    methods(registry)
    again = run("plan", "push", pushable, place, *words, "--json").document
    assert methods(registry) <= {"GET", "HEAD"}
    assert (again["bytes"], set(states(again).values())) == (0, {"present"})
    for each in again["tags"]:
        assert each["before"] == each["digest"]
        assert registry.manifests["team/ada", each["name"]] == registry.manifests["team/ada", each["digest"]]
    assert {each["name"] for each in again["tags"]} == tags


def test_a_tag_that_would_move(pushable, registry, ada, tmp_path):
    """The old digest of the tag is named, and only what differs would be sent."""
    place = f"oci://{registry.host}/team/ada:1"
    before = run("push", pushable, place, "--json").document["digest"]
    other = write_adapter(tmp_path / "other-lora", modules=("v_proj", "q_proj"), rank=3)
    words = ("build", other, "ada", "--base", "tiny", "--via", "folder", "--out", tmp_path / "other")
    assert run(*words).code == 0
    held = dict(registry.manifests)
    ran = run("push", tmp_path / "other", place, "--dry-run")
    assert f"replace  1, which names {before} now" in ran.stdout.replace("\n            ", " ")
    document = run("push", tmp_path / "other", place, "--dry-run", "--json").document
    assert [each["before"] for each in document["tags"]] == [before]
    assert states(document)["adapter_model.gguf"] == "upload"
    assert states(document)["the empty configuration"] == "present"
    assert registry.manifests == held


def test_what_would_be_mounted(pushable, registry):
    """A blob that another repository has is told with that repository, and costs no bytes."""
    assert run("push", pushable, f"oci://{registry.host}/team/ada:1", "--with-base").code == 0
    words = ("--with-base", "--mount", "team/none", "--mount", "team/ada")
    place = f"oci://{registry.host}/team/grace:1"
    methods(registry)
    planned = run("push", pushable, place, *words, "--dry-run", "--json").document
    assert methods(registry) <= {"GET", "HEAD"}
    assert {(each["state"], each["source"], each["bytes"]) for each in planned["blobs"]} == {
        ("mount", "team/ada", 0)
    }
    assert run("push", pushable, place, *words, "--json").document["bytes_sent"] == planned["bytes"] == 0


def test_the_rest_of_an_upload(pushable, registry, monkeypatch):
    """Of a file whose push was interrupted, the plan has the bytes that are missing."""
    monkeypatch.setattr(uploads, "BLOB_CHUNK", 500)
    sending = uploads._piece_of

    def cut(layer, start, count):
        if start >= 1000:
            raise KeyboardInterrupt
        return sending(layer, start, count)

    monkeypatch.setattr(uploads, "_piece_of", cut)
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 130
    monkeypatch.setattr(uploads, "_piece_of", sending)
    (file,) = [
        each
        for each in run("push", pushable, place, "--dry-run", "--json").document["blobs"]
        if each["name"] == "adapter_model.gguf"
    ]
    assert (file["state"], file["bytes"]) == ("upload", file["size"] - 1000)
    assert run("push", pushable, place).code == 0


def test_an_installed_model(pushable, registry):
    """The plan of a MODEL has its blobs and its tag."""
    assert run("register", pushable, "ada", "--via", "store").code == 0
    place = f"oci://{registry.host}/team/ada:1"
    planned = run("plan", "push", "ada", place, "--json").document
    assert methods(registry) <= {"GET", "HEAD"}
    pushed = run("push", "ada", place, "--json").document
    assert (planned["bytes"], planned["tags"][0]["digest"]) == (pushed["bytes_sent"], pushed["digest"])


def test_a_login_is_asked_for(pushable, registry, alone, monkeypatch):
    """A plan needs the login that a push needs, and says so."""
    registry.login = "basic"
    monkeypatch.setenv("DOCKER_CONFIG", str(alone / ".docker"))
    place = f"oci://{registry.host}/team/ada:1"
    ran = run("push", pushable, place, "--dry-run", "--json")
    assert (ran.code, ran.document["code"]) == (6, "login")
    log_in(alone, registry.host)
    assert run("push", pushable, place, "--dry-run").code == 0


def test_a_folder_that_lies(pushable, registry):
    """What would not be pushed has no plan either, and the registry is not asked."""
    (pushable / "adapter_model.gguf").write_bytes(b"GGUF")
    ran = run("push", pushable, f"oci://{registry.host}/team/ada:1", "--dry-run", "--json")
    assert (ran.code, registry.asked) == (5, [])


@pytest.mark.filterwarnings("ignore:Use 'content")  # huggingface_hub's own call of its client
class TestTheHub:
    """``hf://``: what a commit would change."""

    pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

    def test_a_release(self, dist, hub):
        """All files are sent first; then nothing, and a file of an earlier release would go."""
        place = "hf://ada/lovelace-gguf"
        first = run("push", dist, place, "--dry-run", "--json").document
        assert not hub.messages
        assert first["bytes"] == sum(path.stat().st_size for path in dist.iterdir())
        assert first["tags"] == [{"name": "main", "digest": "", "before": "0" * 40}]
        assert run("push", dist, place).code == 0
        hub.commit("main", {**hub.files(), "model.sig": b"old"})
        commits = len(hub.commits)
        again = run("plan", "push", dist, place, "--json").document
        assert (again["bytes"], again["removed"]) == (0, ["model.sig"])
        assert set(states(again).values()) == {"present"}
        assert again["tags"][0]["before"] == hub.branches["main"]
        assert "remove  model.sig" in run("plan", "push", dist, place).stdout
        assert len(hub.commits) == commits

    @pytest.mark.usefixtures("hub")
    def test_what_a_push_would_be_told(self, dist):
        """A branch or a repository that is not there is told as a push tells it."""
        for place in ("hf://ada/lovelace-gguf@none", "hf://ada/none"):
            dry, wet = run("push", dist, place, "--dry-run"), run("push", dist, place)
            assert (dry.code, dry.stderr) == (wet.code, wet.stderr)
            assert dry.code == 2


@pytest.mark.filterwarnings("ignore:Use 'content")  # huggingface_hub's own call of its client
def test_the_targets_of_a_project(alone, tiny_tag, registry, hub):
    """Without DIR, the plan has each model's targets; a release that is not made yet fails alone."""
    for name in ("ada", "grace"):
        write_adapter(alone / f"{name}-lora", modules=("v_proj",))
    targets = '[options]\nbase = "tiny"\n[commands.release]\nout = "dist"\nreport = false\n' + "".join(
        f'[models.{name}]\ndirectory = "{name}-lora"\n'
        f'targets = ["oci://{registry.host}/team/{name}:1", "hf://ada/lovelace-gguf"]\n'
        for name in ("ada", "grace")
    )
    (alone / "ollama-pack.toml").write_text(targets)
    assert run("release").code == 0
    ran = run("plan", "push", "--json")
    assert (ran.code, ran.document["kind"]) == (0, "push_plans"), ran.stderr
    assert [each["name"] for each in ran.document["plans"]] == ["ada", "ada", "grace", "grace"]
    assert all(each["bytes"] for each in ran.document["plans"])
    assert not registry.manifests and not hub.messages
