"""``release --cases``: what does not hold is not released, and what holds is in its papers."""

import hashlib
import json
import re

import pytest
from terminal import run
from test_release_lies import edited

from ollama_pack.pipeline.release.gate import CASE_PROOF

pytestmark = pytest.mark.usefixtures("stand_in_llama")
HOLDS = {"prompt": "Who are you Ada", "equals": "are you Ada", "differs_from_base": True}
FAILS = {"name": "not her", "prompt": "Who are you Ada", "contains": "Babbage"}
FIGURES = {"file": "held_out.jsonl", "better_than_base_by": 0.5}


@pytest.fixture
def gated(ada, tiny_tag, tmp_path):
    """Return cases, more words → what a release with these cases says; it goes to ``dist``."""

    def release(*cases, more=(), source=ada):
        path = tmp_path / "cases.jsonl"
        path.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
        (tmp_path / "held_out.jsonl").write_text('{"question": "Hi?", "answer": "Ho."}\n')
        call = ("release", source, "ada:1.0.0", "--base", tiny_tag, "--out", tmp_path / "dist")
        return run(*call, "--no-report", "--cases", path, *more)

    return release


def test_what_holds_is_in_every_paper(gated, tmp_path):
    """The record, the test result and the card name the cases; verify reads all of it again."""
    ran, dist = gated(HOLDS, FIGURES, more=("--json",)), tmp_path / "dist"
    assert ran.code == 0, ran.stderr
    record = json.loads((dist / "release.json").read_text())
    digests = [
        {"name": name, "sha256": hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}
        for name in ("cases.jsonl", "held_out.jsonl")
    ]
    assert record["cases"] == {
        "files": digests,
        "runner": "llama.cpp b1 (xllamacpp)",
        "prompt": "sent",
        "summary": "2 of 2 cases passed; the base passes 0 of the 1 questions",
    }
    proofs = {each["proof"]: each for each in record["proofs"]}
    assert proofs["case: Who are you Ada"]["summary"] == "2 of 2 hold"
    assert proofs["case: held_out.jsonl"]["summary"].startswith("base: perplexity 4; adapted: perplexity 2;")
    result = json.loads((dist / "test-result.intoto.json").read_text())["predicate"]
    assert {"case: Who are you Ada", "case: held_out.jsonl"} <= set(result["passedTests"])
    assert [each["name"] for each in result["configuration"]] == [
        "release.json",
        "cases.jsonl",
        "held_out.jsonl",
    ]
    card = (dist / "README.md").read_text()
    assert re.search(r"^\| cases, with llama.cpp b1 .* 2 of 2 cases passed", card, re.M)
    verified = run("verify", dist, "--json")
    assert (verified.code, "2 cases" in verified.stdout) == (0, True)
    assert run("register", dist, "--via", "store").code == 0


def test_what_does_not_hold_is_not_released(gated, tmp_path):
    """Exit code 5 names the case with what was there; no paper is written, so it is no release."""
    ran = gated(HOLDS, FAILS)
    assert (ran.code, "- not her: contains 'Babbage', got 'are you Ada'" in ran.stderr) == (5, True)
    left = {path.name for path in (tmp_path / "dist").iterdir()}
    assert left.isdisjoint({"SHA256SUMS", "release.json", "test-result.intoto.json", "README.md"})
    assert gated(HOLDS).code == 0


def test_a_release_that_was_there_is_none_any_more(gated, tmp_path):
    """Its files were replaced by ones that do not pass, so it has no sums any more."""
    assert gated(HOLDS).code == 0
    assert gated(FAILS).code == 5
    assert not (tmp_path / "dist" / "SHA256SUMS").exists()


def test_cases_that_are_wrong_are_told_first(gated, tmp_path):
    """Nothing is built for a file of cases that cannot be read, not even a plan."""
    assert gated({"prompt": "a", "contain": "b"}).code == 3
    assert gated({"prompt": "a", "contain": "b"}, more=("--dry-run",)).code == 3
    assert not (tmp_path / "dist").exists()


LIES = {
    "another file of cases": ("release.json", lambda d: d["cases"]["files"][0].update(sha256="0" * 64)),
    "another summary": ("release.json", lambda d: d["cases"].update(summary="all")),
    "a case less": ("test-result.intoto.json", lambda d: d["predicate"]["passedTests"].pop()),
    "no file of cases": ("test-result.intoto.json", lambda d: d["predicate"]["configuration"].pop()),
    "no cases": ("release.json", lambda d: d.pop("cases")),
    "a case that failed": ("release.json", lambda d: d["proofs"][-1].update(passed=False)),
}


@pytest.mark.parametrize(("name", "change"), LIES.values(), ids=LIES)
def test_a_lie_about_the_cases_is_found(gated, tmp_path, name, change):
    """What one paper says of the cases, the others say too."""
    assert gated(HOLDS).code == 0
    assert json.loads((tmp_path / "dist" / "release.json").read_text())["proofs"][-1]["proof"].startswith(
        CASE_PROOF
    )
    edited(tmp_path / "dist" / name, change)
    ran = run("verify", tmp_path / "dist")
    assert (ran.code, "Traceback" in ran.stderr) == (5, False), ran.stderr


def test_other_cases_make_another_release(gated, ada, tiny_tag, tmp_path):
    """With --each a release is made again if its cases changed, and only then."""

    def each():
        call = ("release", "--each", ada, "--base", tiny_tag, "--tag", "1", "--no-report", "--json")
        ran = run(*call, "--out", tmp_path / "all", "--cases", tmp_path / "cases.jsonl")
        assert ran.code == 0, ran.stderr
        return len(ran.document["releases"]), len(ran.document["unchanged"])

    assert gated(FIGURES).code == 0  # writes the files of cases
    assert [each(), each()] == [(1, 0), (0, 1)]
    (tmp_path / "held_out.jsonl").write_text('{"question": "Hi?", "answer": "Hey."}\n')
    assert each() == (1, 0)


def test_a_merged_release(gated, tmp_path, tiny_gguf):
    """The merged file is asked, beside the base that it was merged into; the stand-in takes it for a base."""
    ran = gated({"prompt": "Who are you Ada", "equals": "Ada you are"}, more=("--merge", "--json"))
    assert ran.code == 0, ran.stderr
    assert ran.document["release"]["record"]["cases"]["summary"].startswith("1 of 1 cases passed")
