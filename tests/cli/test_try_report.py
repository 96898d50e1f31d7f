"""``try --report``: one page with questions, answers, times and settings, whatever models and users say."""

import pytest
from recipes import write_model
from terminal import run, spawn
from test_report import Page
from test_try_command import CHAT, both_paths

pytestmark = pytest.mark.usefixtures("stand_in_llama")


@pytest.fixture
def chatting(tmp_path):
    """Return a base with a chat template."""
    return write_model(tmp_path / "chat.gguf", keys=CHAT)


def test_what_it_has(ada, chatting, tmp_path):
    """Each question with both answers, how long they took and how they ended, and the settings in force."""
    place = tmp_path / "heard.html"
    call = ("try", ada, "Who are you?", "go on forever", "--base", chatting, "--report", place)
    ran = run(*call, "--max-tokens", "4", "--parameter", "stop=xyz", "--json")
    assert (ran.code, f"wrote {place}" in ran.stderr) == (0, True)
    page = Page(place.read_text("utf-8"))
    answers = [each["text"] for talk in ran.document["conversations"] for each in talk["answers"]]
    assert len(answers) == 4
    for text in (*answers, "Who are you?", "base", "adapted", "'xyz'", "num_predict", "temperature", "seed"):
        assert text in page.texts
    figures = [text for text in page.texts if " tokens in " in text]
    assert [text.endswith(", cut off") for text in figures] == [False, False, True, True]
    assert "as Ollama sends it, by the chat template of the base" in page.texts
    assert "chat.gguf loaded in " in page.text


def test_it_is_of_itself(ada, chatting, tmp_path):
    """What was asked and answered is text; the page has no script, and names no place to load from."""
    place, nasty = tmp_path / "heard.html", '<script src="http://x/">\x1b[2J</td></table> \u202e'
    ran = run("try", ada, nasty, "--base", chatting, "--report", place)
    assert ran.code == 0
    text = place.read_text("utf-8")
    page = Page(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert not [each for _, each in page.tags if {"src", "href", "onload", "style"} & set(each)]
    assert "default-src 'none'" in text
    assert ("\x1b" in text, "\u202e" in text) == (False, False)
    assert any('<script src="http://x/">\\x1b[2J</td>' in each for each in page.texts)


def test_messages_before(ada, chatting, tmp_path):
    """A conversation of several messages is shown as a whole."""
    talk, place = tmp_path / "talk.jsonl", tmp_path / "heard.html"
    talk.write_text(
        '[{"role": "system", "content": "Be Ada."}, {"role": "user", "content": "Hi."}, '
        '{"role": "assistant", "content": "Ho."}, {"role": "user", "content": "Who?"}]\n'
    )
    assert run("try", ada, "--messages", talk, "--base", chatting, "--report", place).code == 0
    texts = [each.strip() for each in Page(place.read_text("utf-8")).texts]
    begin = texts.index("system")
    assert texts[begin : begin + 9 : 1].count("Be Ada.") == 1
    assert [each for each in texts if each in ("Be Ada.", "Hi.", "Ho.", "Who?")] == [
        "Be Ada.",
        "Hi.",
        "Ho.",
        "Who?",
    ]


def test_a_chat_is_kept(ada, chatting, tmp_path):
    """What was said in a chat is written at its end, also what /reset made the models forget."""
    place = tmp_path / "heard.html"
    lines = "one two\n/reset\n/adapted\nthree four\n"
    ran = spawn("try", ada, "--base", chatting, "--report", place, env=both_paths(), input=lines)
    assert ran.code == 0, ran.stderr
    page = Page(place.read_text("utf-8"))
    assert [text for text in page.texts if text in ("one two", "three four")] == ["one two", "three four"]
    assert "<s><user>three four" in page.texts


def test_where_it_may_be(ada, chatting, tmp_path):
    """Not in the adapter, not in place of another file, before any model is loaded; elsewhere it may."""
    (tmp_path / "mine.html").write_text("mine")
    call = ("try", ada, "Hi.", "--base", chatting, "--report")
    inside = run(*call, ada / "heard.html")
    assert (inside.code, "--report with a file in another directory" in inside.stderr) == (7, True)
    mine = run(*call, tmp_path / "mine.html")
    assert (mine.code, "--report with another name" in mine.stderr, "llama" in mine.stderr) == (
        7,
        True,
        False,
    )
    assert run(*call, tmp_path / "other.html").code == 0
    assert run(*call, tmp_path / "other.html").code == 0  # an older page is replaced
    assert (tmp_path / "mine.html").read_text() == "mine"
