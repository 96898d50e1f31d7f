"""``ollama-pack inspect``: what a directory holds, and what a build would say."""

import os
from pathlib import Path

import pytest
from terminal import run, tree
from training_run import write_run


def test_writes_nothing(ada, tiny_gguf, tmp_path):
    """Looking changes nothing, and says nothing on stderr."""
    before = tree(tmp_path, times=True)
    ran = run("inspect", ada, "--base", tiny_gguf)
    assert (ran.code, ran.stderr) == (0, "")
    assert tree(tmp_path, times=True) == before


def test_golden(ada, tiny_gguf, tmp_path, golden):
    """What a directory as the Trainer leaves it looks like is what a human has read."""
    for name in ("optimizer.pt", "tokenizer.json", "README.md", "notes.xyz"):
        (ada / name).write_bytes(b"x" * 1234)
    (ada / "checkpoint-30").mkdir()
    (ada / "checkpoint-30" / "optimizer.pt").write_bytes(b"x" * 200_000)
    text = run("inspect", ada, "--base", tiny_gguf).stdout
    golden("cli/inspect.txt", text.replace(tmp_path.as_posix(), "TMP"))


def test_json(ada, tiny_gguf):
    """The document lists files, adapter, base and name, and no problem."""
    document = run("inspect", ada, "--base", tiny_gguf, "--json").document
    assert (document["schema_version"], document["kind"]) == (1, "inspect")
    assert (document["name"], document["problem"]) == ("ada", None)
    assert document["adapter"]["weights"] == 14
    assert document["base"]["architecture"] == "llama"
    assert {file["name"] for file in document["files"]} == set(tree(ada))
    assert document["files"][0]["words"].endswith(".")
    assert {row["module"].rpartition(".")[2] for row in document["adapter"]["spectra"]} >= {
        "q_proj",
        "down_proj",
    }


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        pytest.param({"config": {"use_dora": True}}, 4, "DoRA", id="not expressible"),
        pytest.param({"config": {"r": "eight"}}, 3, "adapter_config.json: r", id="damaged"),
        pytest.param({"config": {"base_model_name_or_path": ...}}, 2, "--base", id="no base"),
    ],
)
def test_would_fail(make_adapter, more, code, told):
    """A directory that cannot be built is shown all the same, with the exit code a build would have."""
    adapter = make_adapter(**more)
    ran = run("inspect", adapter)
    assert ran.code == code
    assert "adapter_model.safetensors" in ran.stdout
    assert f"would fail with exit code {code}" in ran.stdout
    assert told in ran.stdout
    assert run("build", adapter).code == code
    as_json = run("inspect", adapter, "--json")
    assert as_json.code == code
    assert told in str(as_json.document["problem"])


@pytest.mark.parametrize("name", ["nowhere", "a" * 300])
def test_no_directory(name):
    """What is not there is wrong usage."""
    ran = run("inspect", name)
    assert (ran.code, ran.stdout) == (2, "")
    assert name in ran.stderr


def test_empty_directory(tmp_path):
    """An empty directory is shown as what it is: no adapter."""
    (tmp_path / "empty").mkdir()
    ran = run("inspect", tmp_path / "empty")
    assert ran.code == 3
    assert "There is no adapter_config.json here" in ran.stdout


def test_text_utf8_cannot_hold(make_adapter, tiny_gguf):
    """A lone surrogate in the configuration is shown escaped, in words and as JSON."""
    adapter = make_adapter(config={"base_model_name_or_path": "\ud800/x"})
    assert "\\ud800/x" in run("inspect", adapter, "--base", tiny_gguf).stdout
    document = run("inspect", adapter, "--base", tiny_gguf, "--json").document
    assert document["adapter"]["base_model_name_or_path"] == "\ud800/x"


LAYOUTS = {
    "transformers 5": {"chat_template.jinja": "prompt format"},
    "transformers 4": {"special_tokens_map.json": "tokenizer", "added_tokens.json": "tokenizer"},
    "slow tokenizers": {"tokenizer.model": "tokenizer", "vocab.json": "tokenizer", "merges.txt": "tokenizer"},
}


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_of_a_tokenizer_is_known(ada, tiny_gguf, files):
    """Whatever version saved the tokenizer, its files are known, left out, and change nothing."""
    bare = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--json").document["lora"]["digest"]
    for name in files:
        (ada / name).write_text("{}")
    shown = run("inspect", ada, "--base", tiny_gguf, "--json").document["files"]
    assert {file["name"]: file["role"] for file in shown}.items() >= files.items()
    assert (
        run("build", ada, "--base", tiny_gguf, "--via", "folder", "--json").document["lora"]["digest"] == bare
    )


def test_golden_of_a_run(tmp_path, tiny_gguf, golden):
    """What a training run with checkpoints and a log looks like is what a human has read."""
    trained = write_run(tmp_path / "ada-lora")
    text = run("inspect", trained, "--base", tiny_gguf).stdout
    golden("cli/inspect-run.txt", text.replace(tmp_path.as_posix(), "TMP"))


def test_every_file(tmp_path, tiny_gguf):
    """-v lists what lies in each directory, and how large ΔW is for each module."""
    trained = write_run(tmp_path / "ada-lora")
    text = run("inspect", trained, "--base", tiny_gguf, "-v").stdout
    assert "checkpoint-20/optimizer.pt" in text
    assert "model.layers.1.mlp.down_proj" in text


@pytest.mark.parametrize(
    "name", ["training_args.bin", "checkpoint-10/optimizer.pt", "no.xyz", "checkpoint-10"]
)
def test_explain(tmp_path, name):
    """What a file is for is said in plain words, whether it is there or not."""
    trained = write_run(tmp_path / "ada-lora")
    ran = run("inspect", trained, "--explain", name)
    assert ran.code == (0 if (trained / name).exists() else 2)
    assert ran.stdout.startswith(f"{name}: ")
    assert ("There is no such file" in ran.stdout) is not (trained / name).exists()
    facts = run("inspect", trained, "--explain", name, "--json").document
    assert (facts["name"], facts["there"]) == (name, (trained / name).exists())


def test_names_that_a_terminal_acts_on(ada, tiny_gguf):
    """Line breaks, escapes and bytes of no encoding in the names of files are shown escaped."""
    for name in (b"two\nlines.bin", b"\x1b[31mred.pt", b"\xff\xfe.log"):
        Path(os.fsdecode(os.fsencode(ada) + b"/" + name)).write_bytes(b"x")
    ran = run("inspect", ada, "--base", tiny_gguf)
    assert ran.code == 0
    assert "two\\nlines.bin" in ran.stdout
    assert "\x1b" not in ran.stdout
    assert run("inspect", ada, "--base", tiny_gguf, "--json").code == 0
