"""How lines are printed: escaped, bounded, one at a time; results as they stand, but not on a terminal."""

import os
import subprocess

import pytest
from terminal import environment, spawn

from ollama_pack.cli import progress
from ollama_pack.cli.say import LONGEST_LINE, LONGEST_WORD, error_lines, say, say_json, terminal_line
from ollama_pack.errors import PackError, bullet_list


def test_one_line(capsys):
    """What is said is one line, whatever it contains; the label is ours."""
    say("a\nError: forged\x1b[2J\u202e\x9b\udcff", "note: ", level="", err=True)
    assert capsys.readouterr().err == "note: a\\nError: forged\\x1b[2J\\u202e\\x9b\\udcff\n"


def test_long_values_are_cut():
    """A long name and a long line are cut, and their length is told; what stands behind a name stays."""
    name = "n" * 5000
    assert terminal_line(f"The tensor {name} is odd.") == (
        f"The tensor {'n' * LONGEST_WORD}… (5000 characters) is odd."
    )
    assert terminal_line("ab " * 9000) == f"{('ab ' * 9000)[:LONGEST_LINE]}… (27000 characters)"
    assert terminal_line("n" * LONGEST_WORD) == "n" * LONGEST_WORD


def test_passwords_of_addresses():
    """An address with a password, as a configuration may have it, is shown without."""
    assert terminal_line("trained on: https://ada:pw@example.com/x") == "trained on: https://example.com/…"


def test_lines_of_an_error():
    """A list is shown in lines; a line end of a stranger is escaped, also where a place or a hint has it."""
    error = PackError(bullet_list("Two:", ["one", "two\nError: x"]), where="a\nb", hint="c\n       d\ne")
    shown = ["Two:", "  - one", "  - two\\nError: x", "  in:  a\\nb", "  try: c", "       d\\ne"]
    assert [terminal_line(line) for line in error_lines(error)] == shown


def test_documents_are_ascii(capsys):
    """A document has no control character and no other letter than those of ASCII, and no password."""
    say_json({"name": "ΔW\x7f\x9b\u202e\udcff\x1b", "base": "https://ada:pw@h/x"})
    text = capsys.readouterr().out
    assert text == (
        '{\n  "name": "\\u0394W\\u007f\\u009b\\u202e\\udcff\\u001b",\n  "base": "https://h/\\u2026"\n}\n'
    )


def on_a_terminal(*words, stream="stdout", code="", **more):
    """Return what a command writes to a stream that is a terminal."""
    pty = pytest.importorskip("pty", reason="there are no terminals to make here")
    ours, theirs = pty.openpty()
    other = "stderr" if stream == "stdout" else "stdout"
    options = {"capture_output": False, stream: theirs, other: subprocess.DEVNULL}
    ran = spawn(*words, code=code, env=environment(TERM="xterm", NO_COLOR="1", **more), **options)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    return ran.code, shown.decode().replace("\r\n", "\n")


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody holds its other end any more
        return b""


@pytest.mark.parametrize("command", ["modelfile", "convert", "merge"])
def test_results_are_literal_but_not_on_a_terminal(command, ada, tiny_gguf, tmp_path):
    """A pipe gets each byte of a Modelfile or a path; a terminal gets escapes for its control characters."""
    odd = ada.parent / "ada\x1b[2J-lora"
    try:
        ada.rename(odd)
    except OSError:
        pytest.skip("this file system takes no such name")
    (odd / "Modelfile.txt").write_text('FROM tiny\n# \x1b[2J\nSYSTEM """two\nlines"""\n')
    out = ("--out", odd / "x.gguf") if command != "modelfile" else ()
    words = (command, odd, "--base", tiny_gguf, *out)
    piped = spawn(*words)
    code, shown = on_a_terminal(*words)
    assert (piped.code, code) == (0, 0), piped.stderr
    assert "\x1b[2J" in piped.stdout
    assert "\x1b" not in shown
    assert shown == piped.stdout.replace("\x1b", "\\x1b")


STATUS = """
import time
from ollama_pack.cli.progress import Bars
bars = Bars()
for done in (1, 2):
    bars("pulling [red]x[/nothing] [link=http://x]y \x1b]0;title\x07", done, 10**9)
    time.sleep(0.2)
bars.close()
"""


def test_a_status_is_no_markup():
    """A daemon's status with rich's markup and control characters is shown as it is, escaped."""
    code, shown = on_a_terminal(stream="stderr", code=STATUS, COLUMNS="150")
    assert code == 0
    assert "[red]x[/nothing] [link=http://x]y \\x1b]0;title\\x07" in shown
    assert "\x1b]0" not in shown


def test_a_status_without_a_terminal(capsys, monkeypatch):
    """In a pipe a status is one escaped line too."""
    monkeypatch.setattr(progress, "EVERY", 0.0)
    progress.Bars()("pulling a\nb\x1b", 1, 10**9)
    assert capsys.readouterr().err == "pulling a\\nb\\x1b: 0 of 1000 MB\n"


BUG = """
import sys
from ollama_pack.cli import app
from ollama_pack.cli.bases_command import bases_command
def broken(**_):
    raise RuntimeError("https://ada:s3cr3t-w0rd@h Bearer s3cr3t-w0rd hf_s3cr3t-t0ken \x1b[2J")
bases_command.callback = broken
app.main(["bases"])
"""


def test_a_traceback_has_no_secret():
    """The traceback of a bug, which a user sends to somebody, has no secret and no control character."""
    ran = spawn(code=BUG, env=environment(HF_TOKEN="hf_s3cr3t-t0ken"))
    assert ran.code == 1
    assert "Traceback" in ran.stderr
    assert "RuntimeError: https://h Bearer … … \\x1b[2J" in ran.stderr.splitlines()[-1]
    assert "\x1b" not in ran.stderr
