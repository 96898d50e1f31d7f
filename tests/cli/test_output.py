"""What people read: colours, details, sizes."""

import os
import subprocess
from dataclasses import replace

import pytest
from terminal import environment, run, spawn

from ollama_pack.cli.output import Console
from ollama_pack.cli.progress import SHORTEST, Bars
from ollama_pack.cli.value_lines import lines_of
from ollama_pack.disk.files import megabytes
from ollama_pack.lora.peft.load import read_adapter


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0.0 kB"),
        (99_949, "99.9 kB"),
        (100_000, "0.1 MB"),
        (6_300_000, "6.3 MB"),
        (4_100_000_000, "4100.0 MB"),
    ],
)
def test_sizes(size, text):
    """A size is kilobytes below a tenth of a megabyte, else megabytes."""
    assert megabytes(size) == text


def test_no_escape_codes_in_a_pipe(ada, tiny_gguf):
    """Where nobody looks there are no colours, and words are UTF-8."""
    ran = spawn("build", ada, "--base", tiny_gguf)
    assert ran.code == 0
    assert "\x1b" not in ran.stderr + ran.stdout
    assert "ΔW" in ran.stderr


@pytest.mark.parametrize("value", ["", "1"])
def test_no_color(ada, tiny_gguf, value):
    """On a terminal stages are coloured, unless NO_COLOR is set to something."""
    pty = pytest.importorskip("pty", reason="there are no terminals to make here")
    ours, theirs = pty.openpty()
    env = environment(NO_COLOR=value, TERM="xterm")
    options = {"capture_output": False, "stdout": subprocess.DEVNULL, "stderr": theirs, "env": env}
    assert spawn("convert", ada, "--base", tiny_gguf, **options).code == 0
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "the file's ΔW" in shown
    assert ("\x1b[" in shown) is (value == "")


def test_verbose_and_notes(capsys, tiny_base):
    """Notes about a base are always told; other details only with -v; nothing with -q."""
    base = replace(tiny_base, notes=("look out",))
    Console().stage_done("base", base)
    plain = capsys.readouterr().err
    assert "note: look out" in plain
    assert "numbers from" not in plain
    Console(verbose=True).stage_done("base", base)
    assert "numbers from: the tests" in capsys.readouterr().err
    Console(quiet=True, verbose=True).stage_done("base", base)
    assert capsys.readouterr().err == ""


def test_activated_lora_is_warned_of(make_adapter):
    """Without ``-v`` too it is told when an aLoRA acts, and where it would act always."""
    lines = lines_of(read_adapter(make_adapter(config={"alora_invocation_tokens": [5, 9]})))
    assert "activated LoRA" in lines.line
    assert lines.always == (
        "note: Ollama 0.30 and later apply it after the tokens 5, 9; earlier ones apply it to every token",
    )


def test_anything_else_is_its_text():
    """A value nobody has words for is told as it is."""
    assert lines_of(7) == ("7", (), ())


def test_short_steps_have_no_progress(capsys, monkeypatch):
    """A step of few bytes is over before anybody wonders; a long one is told every ten seconds."""
    times = iter([0.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr("ollama_pack.cli.progress.time.monotonic", lambda: next(times))
    bars = Bars()
    bars("copying", 1, SHORTEST - 1)
    assert capsys.readouterr().err == ""
    bars("copying", 5_000_000, 20_000_000)
    bars("copying", 6_000_000, 20_000_000)
    assert capsys.readouterr().err == "copying: 5 of 20 MB\n"


def test_output_of_any_encoding(ada, tiny_gguf):
    """A terminal that lacks a character of our words gets it in ASCII, not as an escape."""
    for encoding in ("latin-1", "cp1252"):
        env = environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        shown = spawn("inspect", ada, "--base", tiny_gguf, "-v", env=env, encoding="latin-1")
        built = spawn("convert", ada, "--base", tiny_gguf, env=env, encoding="latin-1")
        assert (shown.code, built.code) == (0, 0), built.stderr
        assert "the file's dW" in built.stderr
        assert "\\u0394" not in shown.stdout + built.stderr


def test_directory_of_any_bytes(ada, tiny_gguf):
    """A directory whose name is no UTF-8 is converted; its path is printed escaped."""
    odd = ada.parent / "ad\udcff"
    try:
        ada.rename(odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    ran = run("convert", odd, "--base", tiny_gguf)
    assert ran.code == 0
    assert ran.stdout.rstrip().endswith("ad\\udcff/ollama/adapter_model.gguf")
    assert (
        run("convert", odd, "--base", tiny_gguf, "--json").document["lora"]["path"].endswith("f16") is False
    )
