"""``ollama-pack inspect``: what a directory holds, and what a build would say."""

import pytest
from terminal import run, tree


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


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        pytest.param({"config": {"use_dora": True}}, 4, "DoRA", id="not expressible"),
        pytest.param({"config": {"r": ...}}, 3, "r is missing", id="damaged"),
        pytest.param({"config": {"base_model_name_or_path": ...}}, 3, "--base", id="no base"),
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
    """What is not there is damaged input."""
    ran = run("inspect", name)
    assert (ran.code, ran.stdout) == (3, "")
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
