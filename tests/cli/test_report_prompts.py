"""The prompts in ``ollama-pack inspect``: on the page of ``--report``, in its lines and in its document."""

import pytest
from recipes import write_adapter, write_model
from terminal import run
from test_report import Page

JINJA = "<s>{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


@pytest.fixture
def inspect(tmp_path):
    """Return a function that inspects an adapter with a chat template, on a base with another one."""
    home, place = write_adapter(tmp_path / "ada"), tmp_path / "report.html"

    def inspect(trained, own, *more, code=0):
        (home / "chat_template.jinja").write_text(trained, "utf-8")
        base = write_model(tmp_path / "base.gguf", keys=[("tokenizer.chat_template", own)])
        ran = run("inspect", home, "--base", base, "--report", place, *more)
        assert ran.code == code, ran.stderr
        return Page(place.read_text("utf-8")), ran

    return inspect


def marked(page):
    """Return how many tokens have a background."""
    return sum(tag == "mark" for tag, _ in page.tags)


def unfolded(page):
    """Return how many conversations are open, and how many there are."""
    talks = [attributes for tag, attributes in page.tags if tag == "details"]
    return sum("open" in each for each in talks), len(talks) - 1  # the table of weights is folded too


def test_equal_prompts(inspect):
    """The figure, who renders, and every conversation on both sides, one of them unfolded."""
    page, ran = inspect(JINJA, JINJA)
    for text in ("chat_template.jinja", "by the chat template of the base", "18 of 18 conversations",
                 "two users in a row", "one turn, system: equal"):  # fmt: skip
        assert text in page.text
    assert unfolded(page)[0] == 1
    assert unfolded(page)[1] >= 18
    assert marked(page) >= 2 * 18
    assert "prompt       18 of 18 conversations byte-equal" in ran.stdout


def test_a_derived_template_is_told(inspect):
    """What a build changes stands beside the figure that it gives."""
    page, ran = inspect(JINJA, "{% for m in messages %}{{ m.content }}{% endfor %}")
    assert "TEMPLATE is derived from" in page.text
    assert "TEMPLATE is derived from" in ran.stdout
    assert "18 of 18" in page.text


def test_a_build_that_fails_by_its_prompts(inspect):
    """The page shows both sides, with the lines that differ, and the exit code is that of a build."""
    hidden = JINJA.replace("m.content", "m.content | replace('l', 'L')")
    page, ran = inspect(hidden, JINJA, code=5)
    assert "A build would fail with exit code 5." in page.text
    assert any(attributes.get("class") == "differs" for _, attributes in page.tags)
    document = inspect(hidden, JINJA, "--json", code=5)[1].document
    assert (document["problem"]["code"], document["proofs"][0]["passed"]) == ("prompt", False)
    assert "build" in ran.stdout


def test_hostile_tokens(inspect):
    """A token that is a script is shown, and is none."""
    script = "<script>alert(1)</script>"
    page, _ = inspect(JINJA + script, JINJA + script)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert "alert(1)" in page.text


def test_what_is_not_compared(inspect):
    """A damaged chat template is no fault of the run, and why nothing is compared is said."""
    page, ran = inspect("{% for %}", JINJA)
    assert "Not compared" in page.text
    document = inspect("{% for %}", JINJA, "--json")[1].document
    assert document["proofs"] == []
    assert document["not_proved"][0]["proof"] == "prompt"
    assert "prompt       not compared: " in ran.stdout
