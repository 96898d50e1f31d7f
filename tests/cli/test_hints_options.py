"""What a message says to try in place of a word, a name or a file is done by the letter, and works."""

import json
import re

import numpy as np
import pytest
from following import hint_of, succeeds
from recipes import write_adapter
from training_run import write_run

CONFIG, MODELFILE = "adapter_config.json", "Modelfile.txt"


@pytest.fixture
def build(ada, tiny_gguf):
    """Return the words of a build that works, into the files of a folder."""
    return ("build", ada, "ada", "--base", tiny_gguf, "--via", "folder")


def test_one_of_several_adapters(tmp_path, tiny_gguf):
    """--adapter with the name that is given."""
    for name in ("first", "second"):
        write_adapter(tmp_path / "run" / name)
    words = ("convert", tmp_path / "run", "--base", tiny_gguf, "--out", tmp_path / "x.gguf")
    succeeds(*words, *hint_of(*words, code="several-adapters").split())
    hint = hint_of(*words, "--adapter", "third", code="no-such-adapter")
    succeeds(*words, *hint.split())


def test_a_checkpoint_that_is_there(tmp_path, tiny_gguf):
    """One of the steps that are named, and the two commands that show more."""
    trained = write_run(tmp_path / "ada-lora")
    words = ("build", trained, "--base", tiny_gguf, "--via", "folder")
    hint = hint_of(*words, "--checkpoint", "7", code="no-such-checkpoint")
    steps = re.fullmatch(r"--checkpoint with one of (.*)", hint)[1].split(", ")
    assert len(steps) > 1
    for step in steps:
        succeeds(*words, "--checkpoint", step, "--dry-run")
    write_adapter(tmp_path / "plain-lora")
    plain = ("build", tmp_path / "plain-lora", *words[2:])
    hint = hint_of(*plain, "--checkpoint", "best", code="no-such-checkpoint")
    assert hint == f"ollama-pack inspect {tmp_path / 'plain-lora'}"
    succeeds(*hint.split()[1:], "--base", tiny_gguf)


def test_no_checkpoint_is_the_best(tmp_path, tiny_gguf):
    """Where the log does not say which is best, one is named, after a look at their losses."""
    trained = write_run(tmp_path / "ada-lora")
    for log in trained.rglob("trainer_state.json"):
        state = json.loads(log.read_text())
        log.write_text(json.dumps({**state, "best_model_checkpoint": None, "best_global_step": None}))
    words = ("build", trained, "--base", tiny_gguf, "--via", "folder", "--dry-run")
    hint = hint_of(*words, "--checkpoint", "best", code="no-such-checkpoint")
    found = re.fullmatch(
        r"--checkpoint with one of (.*); ollama-pack (checkpoints .*)  shows their losses", hint
    )
    succeeds(*words, "--checkpoint", found[1].split(", ")[0])
    succeeds(*found[2].split())


def test_a_name_for_every_checkpoint(tmp_path, tiny_gguf):
    """The name without the tag."""
    trained = write_run(tmp_path / "ada-lora")
    words = ("--base", tiny_gguf, "--via", "folder", "--checkpoint", "all", "--dry-run")
    hint = hint_of("build", trained, "mine:v1", *words, code="bad-name")
    assert hint == "use the name mine"
    succeeds("build", trained, hint.split()[-1], *words)


def test_a_name_that_ollama_takes(build):
    """The name that is offered is taken."""
    for bad in ("my model", "ada:1:2", "café", "-ada"):
        hint = hint_of(*build[:2], "--name", bad, *build[3:], code="bad-name")
        name = re.search(r"the name (\S+)$", hint)[1]
        succeeds(*build[:2], "--name", name, *build[3:])


def test_a_template_that_exists(build):
    """The nearest template is offered."""
    hint = hint_of(*build, "--template", "chatmll", code="no-such-template")
    assert hint == "--template chatml"
    succeeds(*build, *hint.split())


def test_fields_of_a_template(build, tmp_path):
    """Each field that is listed can be used, and a text of several lines goes through the filter."""
    path = tmp_path / "own.Modelfile"
    words = (*build, "--template", f"{path}", "--parameter", "temperature=0.5", "--parameter", "stop=X")
    path.write_text("FROM [[ base|quoted ]]\nSYSTEM [[ persona|quoted ]]\n")
    hint = hint_of(*words, code="damaged")
    fields = re.fullmatch(r"the fields are (.*)", hint)[1].split(", ")
    for field in fields:
        path.write_text(f"FROM [[ base|quoted ]]\n# [[ {field}|string|length ]]\n")
        succeeds(*words)
    path.write_text("FROM [[ base|quoted ]]\nSYSTEM [[ system ]]\n")
    hint = hint_of(*words, "--system", "one\ntwo", code="damaged")
    assert hint == "[[ system|quoted ]]"
    path.write_text(f"FROM [[ base|quoted ]]\nSYSTEM {hint}\n")
    succeeds(*words, "--system", "one\ntwo")


MODELFILES = {
    "a command that is none": ("SYTEM hello\n", "did you mean SYSTEM?", "SYSTEM hello\n"),
    "lines without quotes": (
        "SYSTEM hello\nthere is more\n",
        'put """ around a text of several lines',
        'SYSTEM """hello\nthere is more"""\n',
    ),
    "open quotes": (
        'SYSTEM """hello\n',
        "end the text with the quotes it starts with, at the end of a line",
        'SYSTEM """hello"""\n',
    ),
    "no value": ("SYSTEM\n", "SYSTEM and a space, then the value", "SYSTEM hello\n"),
    "a role that is none": ("MESSAGE usr Hi\n", "did you mean MESSAGE user?", "MESSAGE user Hi\n"),
    "no role": ("MESSAGE Hi\n", "MESSAGE user Hello", "MESSAGE user Hello\n"),
    "no value of a parameter": (
        "PARAMETER temperature\n",
        "PARAMETER temperature 0.7",
        "PARAMETER temperature 0.7\n",
    ),
    "no UTF-8": (b"SYSTEM caf\xe9\n", "save the file as UTF-8", "SYSTEM caf\u00e9\n"),
}


@pytest.mark.parametrize("case", MODELFILES)
def test_lines_of_a_modelfile(ada, build, case):
    """The line that the message gives, or the change that it names, is one that Ollama reads."""
    wrong, told, right = MODELFILES[case]
    (ada / MODELFILE).write_bytes(wrong if isinstance(wrong, bytes) else wrong.encode())
    assert hint_of(*build, code="damaged") == told
    (ada / MODELFILE).write_text(right, "utf-8")
    succeeds(*build)


def test_a_text_that_no_modelfile_holds(build):
    """Without the characters that are listed, the text is written."""
    bad = 'say """\nand more'
    hint = hint_of(*build, "--system", bad, code="modelfile-cannot-hold")
    assert hint.startswith("remove these characters from the text")
    succeeds(*build, "--system", bad.replace('"', ""))


def test_a_scale_of_nothing(build):
    """--allow-noop, if nothing is meant."""
    hint = hint_of(*build, "--scale", "0", code="bad-option")
    assert hint == "--allow-noop  if that is intended"
    succeeds(*build, "--scale", "0", hint.split()[0])


def test_stored_as_another_type(make_adapter, tiny_gguf, tmp_path):
    """Saved as F32, it is built."""
    adapter = make_adapter()
    path = adapter / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"F32"', b'"I32"'))
    words = ("convert", adapter, "--base", tiny_gguf, "--out", tmp_path / "x.gguf")
    hint = hint_of(*words, code="unsupported")
    assert hint == "save the adapter in one of these dtypes, then build again"
    path.write_bytes(whole)
    succeeds(*words)


@pytest.mark.parametrize("size", [4, 60, -40, 99])
def test_a_file_that_was_cut_off(make_adapter, tiny_gguf, tmp_path, size):
    """Copied again, it is built; the sizes differ, as the message says."""
    path = make_adapter() / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:size] if size != 99 else whole + b"more")
    words = ("convert", path.parent, "--base", tiny_gguf, "--out", tmp_path / "x.gguf")
    hint = hint_of(*words, code="damaged")
    assert hint == "copy the file again from where it was trained, and compare the sizes"
    assert path.stat().st_size != len(whole)
    path.write_bytes(whole)
    succeeds(*words)


def test_usage(ada):
    """The help that is named is printed."""
    hint = hint_of("build", ada, "--bass", code="usage")
    assert hint.endswith("build --help")
    succeeds(*hint.split()[1:])


@pytest.mark.parametrize("value", ["me:word@host", "ftp://host", "127.0.0.1:99999"])
def test_an_address(ada, build, monkeypatch, value):
    """OLLAMA_HOST=HOST:PORT is an address."""
    monkeypatch.setenv("OLLAMA_HOST", value)
    hint = hint_of(*build, code="bad-address")
    assert "HOST:PORT" in hint
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    succeeds(*build)


def test_extras_that_messages_name():
    """`pip install 'ollama-pack[EXTRA]'` names an extra that the package has."""
    from test_every_hint import PACKAGE

    text = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    project = (PACKAGE.parent / "pyproject.toml").read_text("utf-8")
    extras = set(re.findall(r"ollama-pack\[(\w+)\]", text))
    assert {"torch", "report"} <= extras
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)


def test_not_finite_weights(tmp_path, tiny_gguf):
    """A checkpoint from before the loss became NaN is built."""
    trained = write_run(tmp_path / "ada-lora")
    numbers = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": np.full((3, 20), np.nan)}
    write_adapter(trained, extra={name: each.astype(np.float32) for name, each in numbers.items()})
    words = ("--base", tiny_gguf, "--via", "folder", "--dry-run")
    hint = hint_of("build", trained, *words[:-1], code="not-finite")
    assert hint == "build an earlier checkpoint, from before the loss became NaN"
    succeeds("build", trained, *words, "--checkpoint", "10")
