"""The chat of ``try`` on a pseudo-terminal: columns at several widths, commands, Ctrl-C and Ctrl-D."""

import os
import sys

import pytest
from recipes import write_model
from test_try_command import CHAT, both_paths

pytest.importorskip("pty", reason="NOT TESTED: this system has no pseudo-terminals")
from pseudo_terminal import PseudoTerminal, lines_shown

pytestmark = pytest.mark.usefixtures("stand_in_llama")
PROMPT = ">>> "


@pytest.fixture
def chat_at(ada, tmp_path):
    """Return width → a chat on a terminal of that width, which has shown its first prompt."""
    base = write_model(tmp_path / "chat.gguf", keys=CHAT)

    def start(columns, *more, **environment):
        command = [sys.executable, "-m", "ollama_pack", "try", ada, "--base", base, *more]
        return PseudoTerminal(command, both_paths(**environment), columns)

    return start


def shown_after(chat, typed):
    """Type a line, and return the lines that are shown until the next prompt."""
    chat.type(f"{typed}\n")
    return [line.rstrip() for line in lines_shown(chat.until(PROMPT))]


@pytest.mark.parametrize("columns", [40, 80, 130])
def test_columns(chat_at, columns):
    """Answers stand side by side where there is room, else one below the other, and no line is too long."""
    with chat_at(columns) as chat:
        chat.until(PROMPT)
        shown = shown_after(chat, "one two three")
        assert max(map(len, shown)) <= columns
        both = [line for line in shown if line.startswith("base") and line.endswith("adapted")]
        assert bool(both) == (columns >= 80)
        assert (both or ["base:"])[0] in shown
        assert any("two three" in line for line in shown)
        chat.type("\x04")
        assert chat.end() == 0


def test_a_whole_talk(chat_at):
    """Commands choose who answers, histories are kept and forgotten, and marks hold lines together."""
    with chat_at(100) as chat:
        chat.until(PROMPT)
        shown_after(chat, "one two")
        assert "adapted:" in (only := shown_after(chat, "/adapted") + shown_after(chat, "three"))
        assert "<assistant><s><user>one two <user>three" in only
        shown_after(chat, "/reset")
        assert "<s><user>four five" in shown_after(chat, "four five")
        shown_after(chat, "/system Be Ada.")
        assert "<s><system>Be Ada. <user>six" in shown_after(chat, "six")
        shown_after(chat, "/base")
        chat.type('"""seven\n')
        chat.until("... ")
        assert "base:" in shown_after(chat, 'eight"""')
        assert any("/system TEXT" in line for line in shown_after(chat, "/help"))
        shown_after(chat, "/both")
        assert any("base" in line and "adapted" in line for line in shown_after(chat, "nine"))
        chat.type("/bye\n")
        assert chat.end() == 0


def test_an_answer_is_stopped(chat_at):
    """Ctrl-C in the middle of an answer ends the answer; the chat goes on, as if it had not been asked."""
    with chat_at(80, "--max-tokens", "900000") as chat:
        chat.until(PROMPT)
        chat.type("go on forever\n")
        chat.until("and on and on")
        chat.type("\x03")
        assert "^C" not in chat.until("The answer was stopped, and is forgotten.")
        chat.until(PROMPT)
        assert any("one two" in line for line in shown_after(chat, "one two"))
        assert not any("forever" in line for line in shown_after(chat, "three"))
        chat.type("\x03")
        assert chat.end(again="\x03") == 130


def test_answers_are_not_mixed_up(chat_at):
    """However often Ctrl-C comes, an answer is that of its question."""
    with chat_at(80, "--max-tokens", "900000") as chat:
        chat.until(PROMPT)
        for turn in ("one", "two", "three"):
            chat.type(f"go on forever {turn}\n")
            chat.until("and on and on")
            chat.type("\x03\x03" if turn == "two" else "\x03")
            chat.until(PROMPT)
        shown = shown_after(chat, "the last question")
        assert any("last question" in line for line in shown)
        assert not any("and on" in line for line in shown)


def test_llama_that_aborts_in_a_chat(chat_at):
    """The line of its log is told, the terminal is left as it was, and the chat ends."""
    with chat_at(80) as chat:
        chat.until(PROMPT)
        chat.type("abort\n")
        assert chat.end() == 6
        assert "GGML_ASSERT(n_tokens > 0) failed" in chat.heard
        assert chat.heard.count("\x1b[?25l") == chat.heard.count("\x1b[?25h")  # the cursor


def test_what_is_typed_meanwhile(chat_at):
    """It is not shown between the answers, and is asked next; afterwards the terminal shows what is typed."""
    with chat_at(40, "--max-tokens", "300") as chat:
        chat.until(PROMPT)
        chat.type("go on forever\n")
        chat.until("and on and on")
        chat.type("typed meanwhile\n")
        assert "meanwhile" not in chat.until(PROMPT)
        chat.until("<user>typed")
        chat.until(PROMPT)
        chat.type("shown")
        chat.until("shown")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_without_utf8(chat_at, encoding):
    """What is typed beyond the locale is no error, and neither is what the models answer to it."""
    with chat_at(80, PYTHONUTF8="0", PYTHONIOENCODING=encoding, LC_ALL="C") as chat:
        chat.until(PROMPT)
        shown = shown_after(chat, "a \N{LATIN SMALL LETTER U WITH DIAERESIS} \u4f60")
        assert any("<user>a" in line for line in shown)
        chat.type("\x04")
        assert chat.end() == 0, chat.heard
        assert "Traceback" not in chat.heard


def test_nothing_is_left(chat_at, tmp_path):
    """A chat that is hung up on leaves neither a process nor a folder."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with chat_at(80, TMPDIR=str(scratch)) as chat:
        chat.until(PROMPT)
        children = children_of(chat.process.pid)
        assert children or not sys.platform.startswith("linux")
        chat.type("\x04")
        assert chat.end() == 0
        assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110 — as a path
    assert list(scratch.iterdir()) == []


def children_of(pid):
    """Return the processes that a process started and that still run, where the system tells them."""
    path = f"/proc/{pid}/task/{pid}/children"
    if not os.path.exists(path):  # noqa: PTH110
        return []
    with open(path) as file:  # noqa: PTH123
        return file.read().split()
