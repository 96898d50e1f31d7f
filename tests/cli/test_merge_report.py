"""``merge --report``: one page with what each weight keeps of ΔW, and what other sizes would keep."""

import re
import sys

import pytest
from recipes import write_adapter, write_model
from terminal import run
from test_report import Page
from test_report_charts import groups, heights, texts

from ollama_pack.merge.frontier import SizeFrontier
from ollama_pack.report.merge_charts import draw_frontier, draw_kept
from ollama_pack.verify.kept import KeptChange


def kept(tensor: str, gain: float = 1.0, cosine: float = 1.0) -> KeptChange:
    """Return the figures of a weight."""
    return KeptChange(tensor, "Q4_0 → Q8_0", gain, cosine, 0.01, 0.1, 34, 18)


def test_what_it_has(ada, tiny_gguf, tmp_path):
    """The verdict, the digest and the sizes, a drawing of what is kept, and a row for every weight."""
    place, out = tmp_path / "pages" / "kept.html", tmp_path / "ada.gguf"
    ran = run("merge", ada, "--base", tiny_gguf, "--out", out, "--report", place, "--json")
    assert ran.code == 0, ran.stderr
    page, merged = Page(place.read_text("utf-8")), ran.document["merged"]
    assert merged["proofs"][0]["summary"] in page.text
    assert merged["digest"] in page.text
    for each in merged["weights"]:
        assert each["tensor"] in page.texts
    assert "What is kept of ΔW?" in page.texts
    assert "What would another size keep?" not in page.texts
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert run("merge", ada, "--base", tiny_gguf, "--out", out, "--report", place).code == 0, "it is replaced"


def test_the_frontier(tmp_path):
    """With a size for the file, the page shows what other sizes would keep, as the terminal prints it."""
    base, adapter = write_model(tmp_path / "base.gguf"), write_adapter(tmp_path / "ada-lora")
    place, out = tmp_path / "kept.html", tmp_path / "ada.gguf"
    ran = run("merge", adapter, "--base", base, "--out", out, "--merge-size", "1MB", "--report", place)
    assert ran.code == 0, ran.stderr
    page = Page(place.read_text("utf-8"))
    assert "What would another size keep?" in page.texts
    assert any(text.startswith("this file, ") for text in page.texts)


def test_before_anything_is_merged(ada, tiny_gguf, tmp_path, monkeypatch):
    """A page that could not be written, or drawn, is told before the merge begins."""
    out = tmp_path / "ada.gguf"
    ran = run("merge", ada, "--base", tiny_gguf, "--out", out, "--report", ada / "kept.html")
    assert (ran.code, out.exists()) == (7, False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = run("merge", ada, "--base", tiny_gguf, "--out", out, "--report", tmp_path / "kept.html")
    assert (ran.code, out.exists()) == (2, False)
    assert "ollama-pack[report]" in ran.stderr


def test_a_curve_for_each_kind():
    """Each kind of weight has a curve over the layers, and what is outside the layers a place of its own."""
    weights = [kept(f"blk.{layer}.{kind}.weight") for layer in (0, 1, 10) for kind in ("attn_q", "ffn_up")]
    drawing = draw_kept([*weights, kept("output.weight", 0.95, 0.9)], 0.9)
    (legend,) = groups(drawing, "legend")
    assert texts(legend) == ["attn_q", "ffn_up", "output", "limit"]
    upper, lower = groups(drawing, "axes")
    assert [each for each in texts(lower) if re.fullmatch(r"\d+|none", each)] == ["none", "0", "1", "10"]
    assert max(float(text) for text in texts(upper) if re.fullmatch(r"[\d.]+", text)) > 95


@pytest.mark.parametrize("name", ["$x$ & <b>", "blk.0.\x1b[2J.weight", "blk.\u0661.attn_q.weight"])
def test_names_of_a_stranger(name):
    """Whatever a tensor of the base is called is text in the drawing."""
    drawing = draw_kept([kept(name)], 0.9)
    assert groups(drawing, "axes")
    assert ("<b>" in drawing, "\x1b" in drawing) == (False, False)


def test_the_chosen_size():
    """The file that was chosen is marked on the curve, at its size and distance."""
    frontier = SizeFrontier(((1_000_000, 0.6), (2_000_000, 0.3), (4_000_000, 0.0)), 1, {})
    drawing = draw_frontier(frontier)
    (legend,) = groups(drawing, "legend")
    assert texts(legend) == ["files of other sizes", "this file, 2.0 MB"]
    (axes,) = groups(drawing, "axes")
    assert len(set(heights(axes, clipped=True))) >= 3
    assert draw_frontier(frontier) == drawing, "the same bytes each time"


def test_the_report_of_a_release(ada, tiny_gguf, tmp_path):
    """The page of a release shows of a merged model what `merge --report` shows, and nothing of another."""
    place, out = tmp_path / "kept.html", tmp_path / "ada.gguf"
    assert run("merge", ada, "--base", tiny_gguf, "--out", out, "--report", place).code == 0
    ran = run("release", ada, "ada:1", "--base", tiny_gguf, "--merge", "--out", tmp_path / "dist", "--json")
    assert ran.code == 0, ran.stderr
    alone, released = (Page(each.read_text("utf-8")) for each in (place, tmp_path / "dist" / "report.html"))
    first = alone.texts.index("What is kept of ΔW?")
    kept_part = [text for text in alone.texts[first:] if text.strip() and not text.startswith("Made by")]
    found = released.texts.index("What is kept of ΔW?")
    assert [text for text in released.texts[found:] if text.strip()][: len(kept_part)] == kept_part
    drawings = [
        re.findall(r"<svg.*?</svg>", page.read_text("utf-8"), re.S)
        for page in (place, tmp_path / "dist" / "report.html")
    ]
    assert drawings[0][0] in drawings[1]
    before = (tmp_path / "dist" / "report.html").read_bytes()
    assert run("release", ada, "ada:1", "--base", tiny_gguf, "--merge", "--out", tmp_path / "again").code == 0
    assert (tmp_path / "again" / "report.html").read_bytes() == before
    ran = run("inspect", ada, "--base", tiny_gguf, "--report", tmp_path / "run.html")
    assert ran.code == 0, ran.stderr
    assert "What is kept of ΔW?" not in Page((tmp_path / "run.html").read_text("utf-8")).texts
