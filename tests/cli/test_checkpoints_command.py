"""``ollama-pack checkpoints``, and ``build --checkpoint``."""

import json
import os
import pickle
import shutil

import pytest
from terminal import add_base, blob_in, layers_of, model_in, run, spawn
from test_pickle_scan import Exploit
from training_run import STATE, write_run


@pytest.fixture
def trained(tmp_path):
    """Return a training run with three checkpoints."""
    return write_run(tmp_path / "ada-lora")


def test_golden_list(trained, tmp_path, golden):
    """What a stranger sees of a run is what a human has read."""
    golden("cli/checkpoints.txt", run("checkpoints", trained).stdout.replace(tmp_path.as_posix(), "TMP"))


def test_list_as_json(trained):
    """The document has all there is to know."""
    rows = run("checkpoints", trained, "--json").document["checkpoints"]
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert [row["best"] for row in rows] == [False, True, False]
    assert [row["is_root"] for row in rows] == [False, False, True]
    assert rows[2]["digest"].startswith("sha256:")
    assert len({row["digest"] for row in rows}) == 3


def test_none(tmp_path):
    """A directory without checkpoints is no error; one that is not there is."""
    ran = run("checkpoints", tmp_path)
    assert (ran.code, ran.stdout) == (0, "")
    assert "no checkpoints" in ran.stderr
    assert run("checkpoints", tmp_path / "nowhere").code == 2


@pytest.mark.parametrize(("which", "step"), [("20", 20), ("best", 20), ("latest", 30), ("checkpoint-10", 10)])
def test_build_one(trained, tiny_gguf, models, which, step):
    """The one that is meant becomes the tag of its name, the same as by its directory."""
    where = ("--base", tiny_gguf, "--via", "store")
    ran = run("build", trained, "--checkpoint", which, *where)
    assert (ran.code, ran.stdout) == (0, f"ada:checkpoint-{step}\n")
    digest = layers_of(model_in(models, "ada", f"checkpoint-{step}"))["adapter"]
    run("build", trained / f"checkpoint-{step}", "other", *where)
    assert layers_of(model_in(models, "other"))["adapter"] == digest


def test_build_all(trained, tiny_gguf, models):
    """Each becomes a tag; the base is there once."""
    add_base(models, tiny_gguf, "tiny", "latest")
    ran = run("build", trained, "grace", "--checkpoint", "all", "--base", "tiny", "--via", "store")
    assert (ran.code, ran.stdout) == (0, "grace:checkpoint-10\ngrace:checkpoint-20\ngrace:checkpoint-30\n")
    layers = [layers_of(model_in(models, "grace", f"checkpoint-{step}")) for step in (10, 20, 30)]
    assert len({each["model"] for each in layers}) == 1
    assert len({each["adapter"] for each in layers}) == 3
    document = run("build", trained, "--checkpoint", "all", "--base", "tiny", "--dry-run", "--json").document
    assert [plan["name"] for plan in document["plans"]] == [f"ada:checkpoint-{step}" for step in (10, 20, 30)]


def test_build_all_into_folders(trained, tiny_gguf, tmp_path):
    """With --out each has a folder of its own there."""
    out = tmp_path / "out"
    ran = run("build", trained, "--checkpoint", "all", "--base", tiny_gguf, "--via", "folder", "--out", out)
    assert ran.code == 0
    names = [f"checkpoint-{step}" for step in (10, 20, 30)]
    assert sorted(path.name for path in out.iterdir()) == names


def test_what_a_checkpoint_lacks(trained, tiny_gguf, models):
    """Configuration, tokenizer and Modelfile of the run step in for what a checkpoint lacks; that is said."""
    inner = trained / "checkpoint-20"
    (inner / "adapter_config.json").unlink()
    tokens = {f"token {number}": number for number in range(60)}
    (trained / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}}))
    (trained / "Modelfile.txt").write_text(f"FROM {tiny_gguf}\nSYSTEM You are Ada.\n")
    where = ("build", trained, "--checkpoint", "20", "--via", "store")
    ran = run(*where)
    assert ran.code == 5
    assert "it has no adapter_config.json, so the one of its training run is used" in ran.stderr
    assert "tokens: the adapter was trained with the tokens 'token 0' (0)" in ran.stderr
    ran = run(*where, "--base-mismatch-ok", "tokens", "--base-mismatch-ok", "vocabulary")
    assert ran.code == 0
    assert "the tokenizer of its training run is used" in ran.stderr
    layers = layers_of(model_in(models, "ada", "checkpoint-20"))
    assert blob_in(models, layers["system"]) == b"You are Ada."


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--checkpoint", "40"), 2, "--checkpoint with one of 10, 20, 30"),
        (("--checkpoint", ""), 2, "the value is empty"),
        (("ada:v1", "--checkpoint", "all"), 2, "has a tag"),
        (("--checkpoint", "20", "--weight", "1"), 2, "--checkpoint works with one run"),
    ],
)
def test_what_does_not_go(trained, tiny_gguf, more, code, said):
    """Each is told with what to do."""
    ran = run("build", trained, *more, "--base", tiny_gguf)
    assert ran.code == code
    assert said in ran.stderr


def test_no_pickle_is_opened(trained, tiny_gguf, models, tmp_path):
    """Exploits in the place of every pickle a trainer leaves have no effect, whatever command is run."""
    mark = tmp_path / "mark"
    content = pickle.dumps(Exploit(mark))
    for place in (trained, *trained.glob("checkpoint-*")):
        for name in (*STATE, "pytorch_model.bin", "a.pkl", "adapter_model.pt", "tokenizer.model"):
            (place / name).write_bytes(content)
        shutil.copy(place / "optimizer.pt", place / "adapter_model.bin")
    where = ("--base", tiny_gguf)
    commands = [
        ("build", trained, *where, "--via", "store"),
        ("build", trained, *where, "--via", "folder", "--checkpoint", "all"),
        ("convert", trained, *where),
        ("modelfile", trained, *where),
        ("inspect", trained, *where, "-v"),
        ("checkpoints", trained),
        *(("inspect", trained, "--explain", name) for name in STATE),
    ]
    for command in commands:
        assert run(*command).code == 0, command
    assert "posix.system" in run("inspect", trained, *where).stdout
    for place in (trained, *trained.glob("checkpoint-*")):
        (place / "adapter_model.safetensors").unlink()
    assert run("build", trained, *where).code in (3, 4)
    assert not mark.exists()


def test_none_is_made_unless_all_can_be(trained, tiny_gguf, models):
    """Where one of all checkpoints is damaged, that is told before anything is registered."""
    (trained / "checkpoint-20" / "adapter_model.safetensors").write_bytes(b"x")
    ran = run("build", trained, "--checkpoint", "all", "--base", tiny_gguf, "--via", "store")
    assert (ran.code, ran.stdout, models.exists()) == (3, "", False)
    assert "checkpoint-20" in ran.stderr


PLACES = (
    *("adapter_model.safetensors", "adapter_config.json", "Modelfile.txt", "tokenizer.json"),
    *("trainer_state.json", "optimizer.pt", "tokenizer.model"),
)


@pytest.mark.parametrize("name", PLACES)
def test_pipes(trained, tiny_gguf, name):
    """A pipe in the place of a file is not waited for: the command ends, in words."""
    for place in (trained, trained / "checkpoint-20"):
        (place / name).unlink(missing_ok=True)
        os.mkfifo(place / name)
    for words in (("inspect", trained, "-v", "--base", tiny_gguf), ("checkpoints", trained),
                  ("build", trained, "--checkpoint", "20", "--base", tiny_gguf, "--via", "folder"),
                  ("diff", trained, trained / "checkpoint-20")):  # fmt: skip
        ran = spawn(*words)
        assert ran.code in (0, 3), ran.stderr
        assert "Traceback" not in ran.stderr
