"""Whatever stands in names, values, tensors, words and answers of daemons, a terminal gets lines of text."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import stray_daemon
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from recipes import TINY, resized, write_adapter, write_model
from terminal import RUNNER
from training_run import write_run

from ollama_pack.cli.app import COMMAND_GROUPS, main
from ollama_pack.errors import one_line

CONTROLS = [chr(code) for code in (*range(1, 32), *range(127, 160))]
BIDI = list(
    "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069\ufeff"
)
SEQUENCES = [
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "\x1b]8;;http://x\x1b\\\\",
    "\r\nError: forged",
    "[red]x[/y]",
    "\udcff",
]
STRANGE = st.lists(
    st.one_of(st.sampled_from([*CONTROLS, *BIDI, *SEQUENCES]), st.text(max_size=3)), min_size=1, max_size=12
).map("".join)
ALL = "".join([*CONTROLS, *BIDI, *SEQUENCES])
FORGED = "Forged: a line of its own"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Keep every command in a home of its own, whose terminal shows what a pipe would get literally."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("HOME", str(home))
        patch.setenv("OLLAMA_MODELS", str(home / "models"))
        patch.setenv("HF_HUB_CACHE", str(home / "no-hub"))
        patch.delenv("OLLAMA_HOST", raising=False)
        patch.setattr("ollama_pack.ollama.address.DEFAULT_PORT", 9)
        patch.setattr("ollama_pack.cli.say.is_terminal", lambda: True)
        write_model(home / "tiny.gguf")
        yield patch


def look(*words: object) -> str:
    """Run a command, check every character that it prints, and return its output."""
    texts = [str(word).replace("\0", "") for word in words]
    result = RUNNER.invoke(main, texts, prog_name="ollama-pack")
    bug = result.exception is not None and not isinstance(result.exception, SystemExit)
    assert not bug, (texts, result.exception)
    told = result.stdout + result.stderr
    assert {letter for letter in told if not (letter.isprintable() or letter == "\n")} == set(), texts
    if texts[0] != "modelfile":  # its lines are those of the Modelfile
        assert not [line for line in told.split("\n") if line.startswith("Forged")], texts
    if "--json" in texts and result.stdout:
        assert result.stdout.isascii()
        assert "kind" in json.loads(result.stdout)
    return told


def look_each(*words: object) -> None:
    """Run a command as text, in detail, and as JSON."""
    look(*words)
    look(*words, "--json")
    if words[0] in ("build", "inspect", "convert", "merge", "register", "verify", "diff"):
        look(*words, "-v")


def strange_text(check):
    """Run a test with any text, and with all that is dangerous at once."""
    check = example(f"{ALL}\n{FORGED}\n")(given(STRANGE)(check))
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=6, suppress_health_check=quiet, deadline=None)(check)


def in_a_name(text: str) -> str:
    """Return as much of a text as the name of a file may have."""
    name = (
        text.replace("/", "")
        .replace("\0", "")
        .encode("utf-8", "surrogateescape" if "\udcff" in text else "replace")
    )
    return os.fsdecode(name[:200])


@contextlib.contextmanager
def scratch():
    """Provide a folder for one example."""
    folder = Path(tempfile.mkdtemp(dir="."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.property
@strange_text
def test_names_of_directories_and_files(world, text):
    """A directory of any name, with files of any name in it, is shown in lines of text by every command."""
    name = in_a_name(text)
    with scratch() as folder:
        run = folder / f"ada{name}"
        try:
            write_run(run, steps=(10,))
            (run / f"{name}x").write_text(text, "utf-8", "replace")
        except (OSError, UnicodeError):
            return  # this file system takes no such name
        look_each("build", run, "--base", "tiny.gguf", "--dry-run")
        look_each("build", run, "ada", "--base", "tiny.gguf", "--via", "folder")
        look_each("inspect", run)
        look_each("inspect", run, "--explain", f"{name}x")
        look_each("checkpoints", run)
        look_each("diff", run, run / "checkpoint-10")
        look_each("convert", run, "--base", "tiny.gguf")
        look_each("merge", run, "--base", "tiny.gguf", "--out", run / "merged.gguf")
        look_each("modelfile", run, "--base", "tiny.gguf")
        look_each("register", run / "ollama", "ada", "--via", "store", "--store", run / "models")
        look_each("versions", "ada", "--store", run / "models")
        look_each("verify", run / "ollama")
        look_each("doctor", "--store", run)
        look_each("remove", "ada", "--store", run / "models", "--yes")


@pytest.mark.property
@strange_text
def test_values(world, text):
    """Keys and values of configurations, tokens, logs and a Modelfile are shown in lines of text."""
    with scratch() as folder:
        run = write_run(
            folder / "ada", steps=(10,), config={"base_model_name_or_path": f"a/{text}", f"x{text}": text}
        )
        state = {
            "best_model_checkpoint": text,
            "log_history": [{"step": 1, "loss": 1.0, text: 2.0}],
            text: text,
        }
        (run / "trainer_state.json").write_text(json.dumps(state))
        tokens = {"eos_token": text, "chat_template": text, "added_tokens_decoder": {"1": {"content": text}}}
        (run / "tokenizer_config.json").write_text(json.dumps(tokens))
        (run / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {text: 1, "a": 2}}}))
        look_each("inspect", run)
        look_each("inspect", run, "--base", "tiny.gguf")
        look_each("build", run, "--base", "tiny.gguf", "--dry-run")
        look_each("prompt", run, "--base", "tiny.gguf")
        look_each("checkpoints", run)
        plain = write_adapter(folder / "plain", config={"lora_dropout": 0.5})
        look_each("diff", run, plain)
        (run / "Modelfile.txt").write_text(f'FROM tiny\nSYSTEM """{text}"""\n{text}', "utf-8", "replace")
        look_each("modelfile", run, "--base", "tiny.gguf")
        (plain / "Modelfile.txt").write_text(f'FROM tiny\nSYSTEM """{text}"""\n', "utf-8", "replace")
        look_each("modelfile", plain, "--base", "tiny.gguf")


@pytest.mark.property
@strange_text
def test_tensors(world, text):
    """A tensor or a module of any name, in an adapter or in a base, is shown in lines of text."""
    with scratch() as folder:
        names = [f"base_model.model.model.layers.0.{text}.lora_{side}.weight" for side in "AB"]
        extra = {names[0]: np.ones((3, 20)), names[1]: np.ones((20, 3))}
        ada = write_adapter(folder / "ada", extra=extra, config={"target_modules": ["q_proj", text]})
        look_each("build", ada, "--base", "tiny.gguf", "--dry-run")
        look_each("inspect", ada, "--base", "tiny.gguf")
        look_each("diff", ada, write_adapter(folder / "plain"))
        look_each("convert", ada, "--base", "tiny.gguf")
        plain = text.encode("utf-8", "replace").decode()  # GGUF has UTF-8 alone
        odd = write_model(folder / "odd.gguf", resized(TINY, arch=f"x{plain}"))
        for base in (write_model(folder / "named.gguf", keys=[("general.finetune", plain)]), odd):
            look_each("inspect", base)
            look_each("convert", ada, "--base", base)


@pytest.mark.property
@strange_text
def test_words(world, text):
    """Words of a command, wherever they stand, are repeated in lines of text."""
    for command in (name for name in COMMAND_GROUPS if name not in ("doctor",)):
        look(command, f"x{text}")
        look(command, f"--x{text}", "--json")
    for words in ((f"x{text}",), ("build", ".", "--via", text), ("build", ".", "--parameter", text)):
        look(*words)
        look(*words, "--json")
    with scratch() as folder:
        ada = write_adapter(folder / "ada")
        for option in ("--base", "--template", "--name", "--adapter", "--system", "--outtype", "--store"):
            look_each("build", ada, option, f"x{text}", "--dry-run")


@pytest.mark.property
@strange_text
def test_answers_of_daemons(world, text):
    """A version, a status, a name or an error of a daemon is shown in lines of text."""
    with scratch() as folder, stray_daemon.running(text) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_HOST", address)
        ada = write_adapter(folder / "ada")
        look_each("doctor")
        look_each("bases", "tiny")
        for command in ("versions", "rollback", "remove", "inspect", "verify"):
            look_each(command, "ada")
        for via in ("auto", "create", "pull"):
            look_each("build", ada, "--base", "tiny.gguf", "--via", via)


def test_printable_is_what_python_says():
    """No character that is escaped survives, and escaping twice changes nothing."""
    assert one_line(one_line(ALL)) == one_line(ALL)
    assert one_line(ALL).isprintable()
