"""`test`: cases in YAML and JSON lines, what may be expected, and what a failure says; with a stand-in."""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from recipes import write_model
from terminal import SCHEMA, run

CHAT = [("tokenizer.chat_template", "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}")]
pytestmark = pytest.mark.usefixtures("stand_in_llama")
CASES_SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "cases.schema.json").read_text("utf-8"))
"""The published form of a file of cases."""


@pytest.fixture
def chatting(tmp_path):
    """Return a base with a chat template, whose answers end with a token."""
    return write_model(tmp_path / "chat.gguf", keys=CHAT)


@pytest.fixture
def judged(ada, chatting, tmp_path):
    """Return cases, more options → what a test of the adapter says of them; the prompt is what is trained."""
    (ada / "chat_template.jinja").write_text("{{ messages[-1]['content'] }} {# </s> #}", "utf-8")

    def judge(*cases, options=(), fits=True):
        text = yaml.safe_dump({"cases": list(cases)}, allow_unicode=True)
        if fits:
            jsonschema.validate({"cases": list(cases)}, CASES_SCHEMA)
        (tmp_path / "cases.yaml").write_text(text, "utf-8")
        call = ("test", ada, "--cases", tmp_path / "cases.yaml", "--base", chatting, "--prompt", "trained")
        return run(*call, *options)

    return judge


HOLDS = [
    {"contains": "you Ada"},
    {"contains": ["you", "Ada"]},
    {"not_contains": "Babbage"},
    {"matches": r"\b(Ada|Grace)$"},
    {"equals": " are you Ada "},
    {"max_tokens": 3},
    {"differs_from_base": True},
    {"stops": True},
]
FAILS = [
    ({"contains": ["you", "Byron"]}, "contains 'Byron', got 'are you Ada'"),
    ({"not_contains": "Ada"}, "not_contains 'Ada', got 'are you Ada'"),
    ({"matches": "^Ada"}, "matches '^Ada', got 'are you Ada'"),
    ({"equals": "Ada"}, "equals 'Ada', got 'are you Ada'"),
    ({"max_tokens": 2}, "max_tokens at most 2, got 3 tokens"),
    ({"differs_from_base": False}, "differs_from_base the answer of the base, got 'are you Ada'"),
    ({"stops": False}, "stops no end, got it ended by itself"),
    ({"json_schema": {"type": "object"}}, "got no JSON"),
]


@pytest.mark.parametrize("expected", HOLDS, ids=lambda each: next(iter(each)))
def test_what_holds(judged, expected):
    """The stand-in of the adapted model answers with the last three words."""
    ran = judged({"prompt": "Who are you Ada", **expected})
    assert (ran.code, ran.stdout.splitlines()[0]) == (0, "passed  Who are you Ada")


@pytest.mark.parametrize(("expected", "words"), FAILS, ids=lambda each: str(each)[:20])
def test_what_fails(judged, expected, words):
    """Exit code 5; the case is named with what was expected and what was there."""
    ran = judged({"name": "who", "prompt": "Who are you Ada", **expected})
    assert (ran.code, words in ran.stderr) == (5, True), ran.stderr
    assert f"- who: {next(iter(expected))}" in ran.stderr
    assert ran.stdout.splitlines()[0] == "failed  who"


def test_answers_that_are_json(judged):
    """They are validated by the schema; nothing is fetched for it."""
    schema = {"type": "array", "items": {"type": "integer"}}
    assert judged({"prompt": "x y [1, 2, 3]", "json_schema": schema}).code == 0
    ran = judged({"prompt": 'x ["1", 2, 3]', "json_schema": schema})
    assert "'1' is not of type 'integer'" in ran.stderr
    remote = {"$ref": "http://127.0.0.1:9/schema.json"}
    ran = judged({"prompt": "x y [1, 2, 3]", "json_schema": remote})
    assert (ran.code, "and none is fetched" in ran.stderr) == (3, True)


def test_the_document(judged):
    """It has every check, what the base does with the same question, and its proofs for other views."""
    ran = judged(
        {"name": "one", "prompt": "Who are you Ada", "contains": "Ada"},
        {"name": "two", "prompt": "Who are you Ada", "equals": "Ada you are"},
        options=("--json",),
    )
    document = ran.document
    assert (ran.code, document["passed"]) == (5, False)
    one, two = document["cases"]
    assert (one["passed"], one["base_passes"], one["answer"]["text"]) == (True, True, "are you Ada")
    assert (two["passed"], two["base_passes"], two["checks"][0]["got"]) == (False, True, "'are you Ada'")
    assert document["summary"] == "1 of 2 cases passed; the base passes 2 of the 2 questions"
    assert [each["passed"] for each in document["proofs"]] == [True, False]


def test_the_base_need_not_be_asked(judged):
    """With --no-compare it is asked only where a case is about it."""
    case = {"prompt": "Who are you Ada", "contains": "Ada"}
    found = judged(case, {**case, "name": "b", "differs_from_base": True}, options=("--no-compare", "--json"))
    assert [each["base_passes"] for each in found.document["cases"]] == [None, True]


def test_junit(judged, tmp_path):
    """A case is a test case: what failed is a failure with what was there."""
    path = tmp_path / "results.xml"
    judged(
        {"name": "good", "prompt": "a b c", "contains": "c"},
        {"name": "bad", "prompt": "a b c", "contains": "d"},
        options=("--write", f"junit={path}"),
    )
    suite = ElementTree.parse(path).getroot()[0]
    failed = {each.get("name"): [part.text for part in each.iter("failure")] for each in suite}
    assert failed == {"good": [], "bad": ["contains 'd', got 'a b c'"]}


def test_figures(judged, tmp_path):
    """Loss and perplexity over the answers of a file: the stand-in gives 1/2 to each token, its base 1/4."""
    (tmp_path / "talks.jsonl").write_text(
        '{"question": "Hi?", "answer": "Ho."}\n\n[{"role": "user", "content": "a"}, '
        '{"role": "assistant", "content": "bc"}, {"role": "user", "content": "d"}, '
        '{"role": "assistant", "content": "e"}]\n',
        "utf-8",
    )
    ran = judged(
        {"file": "talks.jsonl", "perplexity_at_most": 2.001, "better_than_base_by": 0.69},
        options=("--json", "--prompt", "sent"),
    )
    (case,) = ran.document["cases"]
    base, adapted = case["likelihoods"]
    assert (ran.code, base["tokens"], adapted["tokens"]) == (0, 6 + 3 * len("</s>"), 6 + 3 * len("</s>"))
    assert (base["perplexity"], adapted["perplexity"]) == (pytest.approx(4), pytest.approx(2))
    bad = judged({"file": "talks.jsonl", "perplexity_at_most": 1.9, "better_than_base_by": 0.7})
    assert bad.code == 5
    assert "talks.jsonl: perplexity_at_most 1.9, got 2" in bad.stderr
    assert "talks.jsonl: better_than_base_by 0.7, got 0.6931" in bad.stderr


def test_json_lines(ada, chatting, tmp_path):
    """Without YAML a line is a case."""
    path = tmp_path / "cases.jsonl"
    path.write_text(
        '{"prompt": "a b c", "stops": true}\n'
        '{"messages": [{"role": "user", "content": "d"}], "stops": true}\n'
    )
    ran = run("test", ada, "--cases", path, "--base", chatting)
    assert (ran.code, ran.stdout.splitlines()[-1].startswith("2 of 2 cases passed")) == (0, True)


WRONG = [
    ({"prompt": "a", "contain": "b"}, "did you mean contains?"),
    ({"prompt": "a", "contains": 5}, "contains must be a text or a list of texts, not 5."),
    ({"prompt": "a", "stops": "yes"}, "stops must be true or false, not 'yes'."),
    ({"prompt": "a"}, "A case must expect something: contains"),
    ({"prompt": 5, "stops": True}, "The name must be a text."),
    ({"stops": True}, "either a prompt or messages"),
    ({"messages": [{"role": "user"}], "stops": True}, "A message must have a role"),
    ({"file": "x.jsonl"}, "perplexity_at_most or better_than_base_by must be a number."),
    ({"prompt": "a", "matches": "("}, "is not a regular expression"),
    ({"prompt": "a", "json_schema": {"type": 5}}, "This is not a JSON schema"),
]


@pytest.mark.parametrize(("case", "words"), WRONG, ids=lambda each: str(each)[:24])
def test_cases_that_are_wrong(judged, case, words):
    """A case that could never fail, or never hold, is told with its place."""
    ran = judged(case, fits=False)
    assert (ran.code, words in ran.stderr) == (3, True), ran.stderr


def test_a_pattern_without_end(judged, monkeypatch):
    """A pattern that takes too long is given up."""
    monkeypatch.setattr("ollama_pack.pipeline.trial.judging.SEARCH_SECONDS", 1)
    ran = judged({"prompt": f"a b {'a' * 60}!", "matches": "(a+)+$"})
    assert (ran.code, "within 1 seconds" in ran.stderr) == (3, True)


def test_aliases(ada, chatting, tmp_path):
    """A few lines of YAML cannot stand for billions of values."""
    path = tmp_path / "cases.yaml"
    path.write_text("a: &a [x]\ncases: [*a, *a]\n")
    ran = run("test", ada, "--cases", path, "--base", chatting)
    assert (ran.code, "aliases" in ran.stderr) == (3, True)


def test_a_model_without_its_base(ada, chatting, tmp_path):
    """What needs the base says so; --base, as the hint says, is enough."""
    merged, path = tmp_path / "merged.gguf", tmp_path / "cases.yaml"
    run("merge", ada, "--base", chatting, "--out", merged)
    path.write_text("cases: [{prompt: a b c, differs_from_base: true}]")
    ran = run("test", merged, "--cases", path)
    assert (ran.code, "--base FILE.gguf, with the GGUF file of the base" in ran.stderr) == (2, True)
    assert run("test", merged, "--cases", path, "--base", chatting).code in (0, 5)


def test_a_first_file(ada, chatting, tmp_path):
    """--init makes cases of the training data, which can be run at once, and replaces no file."""
    data, path = tmp_path / "train.jsonl", tmp_path / "first.yaml"
    data.write_text(
        "".join(json.dumps({"question": f"q {n} “x”?", "answer": "a\nb"}) + "\n" for n in range(45))
    )
    call = ("test", ada, "--cases", path, "--init")
    assert run(*call, "--data", data).code == 0
    cases = yaml.safe_load(path.read_text("utf-8"))
    jsonschema.validate(cases, CASES_SCHEMA)
    assert len(cases["cases"]) == 20
    ran = run("test", ada, "--cases", path, "--base", chatting, "--json")
    assert len(ran.document["cases"]) == 20
    again = run(*call, "--data", data)
    assert (again.code, "--cases with another name" in again.stderr) == (7, True)
    assert run("test", ada, "--cases", tmp_path / "second.yaml", "--init", "--data", data).code == 0


@pytest.mark.parametrize("library", ["yaml", "jsonschema"])
def test_the_extra_is_missing(ada, chatting, tmp_path, monkeypatch, library):
    """What is missing is named with the extra that has it."""
    case = {"json_schema": {}}
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / "cases.yaml"
    path.write_text(json.dumps({"cases": [{"prompt": "a", **case}]}))
    ran = run("test", ada, "--cases", path, "--base", chatting)
    assert (ran.code, "pip install 'ollama-pack[test]'" in ran.stderr) == (2, True)


def test_the_schema_has_every_expectation():
    """What is published is what is read."""
    from ollama_pack.pipeline.trial.cases import EXPECTATIONS

    question, figures = CASES_SCHEMA["$defs"]["question"], CASES_SCHEMA["$defs"]["figures"]
    assert set(EXPECTATIONS) < set(question["properties"])
    assert set(question["properties"]) - set(EXPECTATIONS) == {
        "name",
        "prompt",
        "system",
        "messages",
        "tools",
    }
    assert set(figures["properties"]) == {"name", "file", "perplexity_at_most", "better_than_base_by"}
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) >= {
        *EXPECTATIONS,
        *figures["properties"],
    } - {"name"}
    assert SCHEMA["$defs"]["document_test"]
