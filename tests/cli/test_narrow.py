"""What every command prints in a narrow terminal: the same words, none broken, and the indent kept."""

import json
import os
import re
import subprocess

import pytest
from recipes import write_adapter
from terminal import environment, run, spawn
from training_run import write_run

from ollama_pack.cli.app import COMMAND_GROUPS

WIDTHS = (40, 60)


@pytest.fixture
def commands(ada, tiny_gguf, tmp_path, models):
    """Return commands of every kind, good and bad, on a store with a model and its version."""
    home = write_run(tmp_path / "grace-lora")
    dora = write_adapter(tmp_path / "dora-lora", modules=("v_proj",), config={"use_dora": True})
    base = ("--base", tiny_gguf, "--via", "store")
    assert run("build", ada, *base).code == 0
    assert run("build", ada, *base, "--parameter", "top_k=3").code == 0
    assert run("build", ada, *base, "--out", tmp_path / "release").code == 0
    assert run("register", tmp_path / "release", "other", "--via", "store").code == 0
    return [
        *([name, "--help"] for name in COMMAND_GROUPS),
        ["--help"],
        ["build", ada, *base, "-v"],
        ["build", ada, *base, "--dry-run"],
        ["build", "--each", ada, dora, *base],
        ["build", ada, dora, *base],
        ["build", dora, *base],
        ["build", ada, "--bogus"],
        ["biuld"],
        ["inspect", ada, *base[:2]],
        ["inspect", home, *base[:2], "-v"],
        ["inspect", tiny_gguf],
        ["inspect", home, "--explain", "optimizer.pt"],
        ["checkpoints", home],
        ["diff", home / "checkpoint-10", home / "checkpoint-20"],
        ["diff", home / "checkpoint-10", home / "checkpoint-20", "-v"],
        ["convert", ada, *base[:2], "--out", tmp_path / "x.gguf"],
        ["merge", ada, *base[:2], "--out", tmp_path / "merged.gguf"],
        ["register", tmp_path / "release", "other", "--via", "store"],
        ["verify", tmp_path / "release"],
        ["versions", "ada"],
        ["versions", "none-such"],
        ["prompt", ada, *base[:2]],
        ["doctor"],
        ["bases", "vicuna"],
        ["bases", "none-such"],
        ["archs"],
        ["archs", "qwen3moe"],
        ["archs", "none-such"],
        ["remove", "ada", "--dry-run"],
        ["modelfile", ada, *base[:2], "--template", "none-such"],
    ]


def plain_words(text):
    """Return the words of an output, without curves and the sign with which a command goes on."""
    return [word for word in text.split() if word != "\\" and not set(word) <= set("▁▂▃▄▅▆▇█")]


def pieces_of(line):
    """Return the words of a line without the label of a stage or of a part of an error."""
    line = re.sub(r"^(?:[a-z]+ {2,}|Error: |  in:  |  try: )", "", line)
    return line.removesuffix(" \\").split()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_is_broken_and_no_indent_lost(commands, monkeypatch, width):
    """What begins a line at the left does so without a limit too; a line that is too long has one word."""
    for words in commands:
        monkeypatch.delenv("COLUMNS", raising=False)
        whole = run(*words, columns=1000 if "--help" in words else 0)
        monkeypatch.setenv("COLUMNS", str(width))
        narrow = run(*words)
        assert narrow.code == whole.code
        for one, other in ((whole.stdout, narrow.stdout), (whole.stderr, narrow.stderr)):
            assert plain_words(other) == plain_words(one), words
            sentence = one.count("\n") == 1 and "  " not in one  # it has no indent
            left = [sum(line[:1].strip() != "" for line in text.splitlines()) for text in (one, other)]
            assert sentence or left[0] == left[1], (words, other)
            for line in other.splitlines():
                assert len(line) <= width or len(pieces_of(line)) == 1, (words, line)


def test_documents_and_results_are_not_broken(ada, tiny_gguf, monkeypatch, tmp_path):
    """What programs read is the same in any terminal: documents, names, paths, and a Modelfile."""
    monkeypatch.setenv("COLUMNS", "40")
    base = ("--base", tiny_gguf)
    assert json.loads(run("inspect", ada, *base, "--json").stdout)
    out = tmp_path / "a folder with blanks in its very long name that no terminal holds" / "x.gguf"
    assert run("convert", ada, *base, "--out", out).stdout == f"{out}\n"
    long = "SYSTEM " + "You are Ada Lovelace, and you answer as she would. " * 3
    (ada / "Modelfile.txt").write_text(f"FROM x\n{long.strip()}\n")
    assert long.strip() in run("modelfile", ada, *base).stdout


@pytest.mark.parametrize("given", ["", "0", "x", "-3", "²"])
def test_an_odd_width_is_ignored(ada, tiny_gguf, monkeypatch, given):
    """COLUMNS that is no number of columns sets no limit in a pipe."""
    whole = run("inspect", ada, "--base", tiny_gguf).stdout
    monkeypatch.setenv("COLUMNS", given)
    assert run("inspect", ada, "--base", tiny_gguf).stdout == whole


def shown(ada, base, columns=40, **more):
    """Return what a terminal of some columns shows of a build on stderr."""
    pty = pytest.importorskip("pty", reason="there are no terminals to make here")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    options = {"capture_output": False, "stdout": subprocess.DEVNULL, "stderr": theirs}
    ran = spawn("build", ada, "--base", base, env=environment(TERM="xterm", **more), **options)
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    return ran.code, text.replace("\r\n", "\n")


def test_a_terminal_is_followed(ada, tiny_gguf):
    """Without COLUMNS the width is that of the terminal which the text goes to."""
    code, text = shown(ada, tiny_gguf, NO_COLOR="1")
    assert code == 0
    assert "\nproof     numbers: 14 weights:" in text
    assert len(text.splitlines()) > 20
    told = [line for line in text.splitlines() if "\x1b[2K" not in line]  # not those of progress
    assert [line for line in told if len(line) > 40 and len(pieces_of(line)) > 1] == []


def test_a_colour_says_how_well_it_is(ada, tiny_gguf, tmp_path):
    """Red is an error, yellow a warning; the labels of stages are bold and have no colour."""
    _, text = shown(ada, tiny_gguf, 200)
    assert "\x1b[1mread\x1b[0m" in text
    assert not {"\x1b[31m", "\x1b[32m", "\x1b[33m"} & set(text.split("\x1b"))
    (ada / "Modelfile.txt").write_text("FROM x\nTEMPLATE no prompt\n")
    _, text = shown(ada, tiny_gguf, 200)
    assert f"\x1b[33m\x1b[1mwarning\x1b[0m   {ada / 'Modelfile.txt'}, line 2: the TEMPLATE" in text
    code, text = shown(tmp_path / "none", tiny_gguf, 200)
    assert (code, text.startswith("\x1b[31m\x1b[1mError:\x1b[0m ")) == (2, True)
