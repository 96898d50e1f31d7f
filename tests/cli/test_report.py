"""``ollama-pack inspect --report``: one page, without network or script, whatever the run holds."""

import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from recipes import write_adapter
from terminal import run, tree
from training_run import write_run

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """A page that has been read: its tags, their attributes and its texts; every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Keep a tag, and wait for its end."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Keep a tag that has no end."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Require the end of what was begun last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep a text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """Return all its texts."""
        return " ".join(self.texts)


@pytest.fixture
def report(tiny_gguf, tmp_path):
    """Return what writes a report of a run, and reads it."""
    place = tmp_path / "report.html"

    def write(directory: Path, *more: object, code: int = 0) -> Page:
        ran = run("inspect", directory, "--base", tiny_gguf, "--report", place, *more)
        assert ran.code == code, ran.stderr
        return Page(place.read_text("utf-8"))

    return write


def drawings(text: str) -> list[ElementTree.Element]:
    """Return the drawings in a page; each is XML of its own."""
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_what_it_shows(report, tmp_path):
    """Losses with the checkpoints, sizes, singular values, files and what a build would say."""
    page = report(write_run(tmp_path / "ada-lora"))
    for text in ("A build would make the model ada.", "the same as checkpoint-30, byte for byte",
                 "training loss", "eval loss", "learning rate", "best checkpoint", "q_proj",
                 "singular value / the largest", "checkpoint-20/optimizer.pt",
                 "Needed to resume training. A model does not"):  # fmt: skip
        assert text in page.text
    whole = (tmp_path / "report.html").read_text("utf-8")
    training, sizes, spectra = drawings(whole)
    paths = "{http://www.w3.org/2000/svg}path"
    assert len(list(sizes.iter(paths))) >= 14, "one cell for each weight"
    assert len(list(training.iter(paths))) > 10
    assert len(list(spectra.iter(paths))) > 7


def test_nothing_from_elsewhere(report, tmp_path):
    """It needs neither script nor network, and its policy forbids both; colours follow light and dark."""
    page = report(write_run(tmp_path / "ada-lora"))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "img", "object", "embed", "form", "foreignobject"}
    for tag, attributes in page.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key.split(":")[-1] in ("href", "src", "action"):
                assert str(value).startswith("#"), (tag, key, value)
    policy = next(each["content"] for tag, each in page.tags if "http-equiv" in each)
    assert policy.startswith("default-src 'none'")
    whole = (tmp_path / "report.html").read_text("utf-8")
    assert "prefers-color-scheme: dark" in whole
    assert not re.search(r"#0102[01]\w", whole), "a colour of the drawing is no variable"
    assert set(re.findall(r"var\((--[\w-]+)\)", whole)) <= set(re.findall(r"(--[\w-]+):", whole))


def test_the_same_again(report, tmp_path):
    """The same run gives the same bytes; an older report is replaced; the run itself is not touched."""
    trained = write_run(tmp_path / "ada-lora")
    before = tree(trained, times=True)
    report(trained)
    first = (tmp_path / "report.html").read_bytes()
    report(trained)
    assert (tmp_path / "report.html").read_bytes() == first
    assert tree(trained, times=True) == before


HOSTILE = '<script>alert("1")</script>&<b>$x^2$'


def test_hostile_texts(report, tmp_path):
    """Names of files and modules, notes and settings are texts, whatever they look like."""
    trained = write_run(
        tmp_path / "ada-lora", config={"base_model_name_or_path": HOSTILE, "peft_version": HOSTILE}
    )
    for name in (HOSTILE.replace("/", "|").encode(), b"\xff\xfe", b"two\nlines", b"\x1b[31m"):
        Path(os.fsdecode(os.fsencode(trained) + b"/" + name)).write_bytes(b"x")
    page = report(trained)
    assert "script" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.text
    assert "two\\nlines" in page.text


def test_hostile_modules(report, tmp_path, tiny_gguf):
    """A module whose name is a formula, or a tag, is drawn by its name; that a build refuses it is shown."""
    write_adapter(tmp_path / "ada-lora", modules=("q_proj",))
    path = tmp_path / "ada-lora" / "adapter_model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].decode().rstrip().replace("q_proj", "$<b>\u0001&_^")
    header += " " * (-len(header.encode()) % 8)
    path.write_bytes(len(header.encode()).to_bytes(8, "little") + header.encode() + content[8 + length :])
    page = report(tmp_path / "ada-lora", code=run("inspect", tmp_path / "ada-lora", "--base", tiny_gguf).code)
    assert "A build would fail" in page.text
    assert "b" not in {tag for tag, _ in page.tags}
    drawings((tmp_path / "report.html").read_text("utf-8"))


def test_a_run_that_cannot_be_built(report, tmp_path):
    """What is wrong stands at the top; what could be read is shown all the same."""
    trained = write_run(tmp_path / "ada-lora")
    (trained / "adapter_config.json").write_text("{")
    page = report(trained, code=3)
    assert "A build would fail with exit code 3" in page.text
    assert "training loss" in page.text


@pytest.mark.parametrize("place", ["in the run", "no report", "a directory"])
def test_where_it_may_not_lie(tmp_path, tiny_gguf, place):
    """It does not go into the run, and replaces nothing but a report."""
    trained = write_run(tmp_path / "ada-lora")
    path = {"in the run": trained / "checkpoint-10" / "r.html", "no report": tmp_path / "notes.html"}.get(
        place, tmp_path
    )
    (tmp_path / "notes.html").write_text("mine")
    before = tree(tmp_path, times=True)
    ran = run("inspect", trained, "--base", tiny_gguf, "--report", path)
    assert ran.code == 7
    assert tree(tmp_path, times=True) == before


def test_without_the_library(tmp_path, tiny_gguf, monkeypatch):
    """Without the extra it is said which one, and nothing is written."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    trained = write_run(tmp_path / "ada-lora")
    ran = run("inspect", trained, "--base", tiny_gguf, "--report", tmp_path / "r.html")
    assert ran.code == 2
    assert "pip install 'ollama-pack[report]'" in ran.stderr
    assert not (tmp_path / "r.html").exists()
