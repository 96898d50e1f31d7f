"""Laws of what runners read: whatever names contain, they obey and show what is meant, and no more."""

import json
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from runner import commands_of, outputs_of

from ollama_pack.cli.events.event import Event
from ollama_pack.cli.events.github import GithubLog, workflow_command
from ollama_pack.cli.events.json_lines import event_lines
from ollama_pack.cli.events.terminal import Terminal
from ollama_pack.cli.events.views import FORMATS, OUTPUTS, render
from ollama_pack.cli.say import say_json
from ollama_pack.errors import PackError

pytestmark = pytest.mark.property

PIECES = (
    *("::", "##[", "]", "error", "set-output name=x", "::add-mask::x", "%0A", "%", "<<", "=", ",", ":"),
    *("\n", "\r", "\r\n", "\u2028", "\x85", "\x1b[2J", "\x00", "\u202e", "\ud800", "\ufffe", " ", "$(id)"),
    *("|", "`", "```", "<b>", "</details>", "![a](http://b)", "[a](b)", "@ada", "&amp;", "]]>", "-->"),
    *("ada", "https://u:pw@h/x"),
)
texts = st.one_of(st.text(max_size=20), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
numbers = st.floats(0, 1)


def proof(parts):
    """Return a proof of a document."""
    name, summary, passed = parts
    return {"proof": name, "summary": summary, "passed": passed, "figure": 0.0, "limit": 0.0, "worst": ""}


def result(parts):
    """Return the event of a result in which everything that a stranger may name is arbitrary."""
    name, base, path, digest, proofs, kept = parts
    made = {"path": path, "digest": digest, "size": 5, "kept": {"gain": kept, "bytes": 3, "base_bytes": 4}}
    document = {"name": name, "base": {"tag": base}, "merged": made, "proofs": list(map(proof, proofs))}
    document["not_proved"] = [{"proof": name, "why": base}]
    return Event("result", {"kind": "build", "document": document}, path)


def error(parts):
    """Return the event of an error."""
    what, where, hint, source = parts
    facts = {"code": "damaged", "what": what, "where": where, "try": hint, "found": {}, "exit_code": 3}
    return Event("error", facts, source)


def stage(parts):
    """Return the event of a stage with a warning."""
    line, note, source = parts
    notes = [
        {"level": "warning", "code": "base-moved", "text": note},
        {"level": "", "code": "", "text": note},
    ]
    return Event("stage", {"stage": "base", "line": line, "notes": notes, "details": [line]}, source)


results = st.tuples(
    texts, texts, texts, texts, st.lists(st.tuples(texts, texts, st.booleans()), max_size=2), numbers
).map(result)
errors = st.tuples(texts, texts, texts, texts).map(error)
stages = st.tuples(texts, texts, texts).map(stage)
streams = st.lists(st.one_of(results, errors, stages), max_size=4)


@pytest.fixture(scope="module", autouse=True)
def on_github():
    """Run as a step of GitHub Actions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_ACTIONS", "true")
        patch.delenv("GITHUB_WORKSPACE", raising=False)
        yield


@given(texts, texts, texts)
@example("##[set-output name=x]y", "a\n::error::b", "::stop-commands::x")
def test_a_command_is_one(text, file, title):
    """The runner finds the command that was meant, its own properties, and its text on one line."""
    (found,) = commands_of(workflow_command("error", text, {"file": file, "title": title}))
    assert found.name == "error"
    assert set(found.properties) == {key for key, value in (("file", file), ("title", title)) if value}


@given(streams)
def test_the_log_has_our_commands_alone(stream):
    """Of a whole stream the runner obeys one command for each error and warning, and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        for module in ("say", "events.github"):
            patch.setattr(f"ollama_pack.cli.{module}.say_command", lines.append)
        patch.setattr("click.echo", lambda text, **_: lines.append(text))
        for view in (GithubLog({}), Terminal(verbose=True)):
            for event in stream:
                told = event.facts
                value = (
                    PackError(told["what"], where=told["where"], hint=told["try"])
                    if event.kind == "error"
                    else None
                )
                view.see(Event(event.kind, told, event.source, value))
        for event in stream:
            say_json(event.facts)
    meant = [{"error": "error", "stage": "warning"}.get(event.kind) for event in stream]
    assert [found.name for found in commands_of("\n".join(lines))] == [name for name in meant if name]


@given(streams)
def test_outputs_are_three(stream):
    """A step has three outputs, with a line for each model that was made, or none, whatever names contain."""
    found = outputs_of(render(OUTPUTS, stream, {}))
    files = [event.facts["document"]["merged"] for event in stream if event.kind == "result"]
    count = sum(bool(file["path"] or file["digest"]) for file in files)
    assert set(found) == ({"name", "digest", "path"} if count else set())
    assert all(len(value.split("\n")) == count for value in found.values())


@given(streams)
def test_the_table_has_our_cells(stream):
    """Markdown finds one table with a row for each model, and no link, picture or HTML of a stranger."""
    page = render(FORMATS["summary"], stream, {})
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(page)
    count = sum(event.kind == "result" for event in stream)
    kinds = [token.type for token in tokens]
    assert kinds.count("table_open") == min(count, 1)
    assert kinds.count("td_open") == 7 * count
    assert kinds.count("heading_open") == 1
    inside = {child.type for token in tokens for child in token.children or ()}
    assert inside <= {"text", "strong_open", "strong_close", "code_inline", "text_special", "softbreak"}
    ours = {"<details><summary>Proofs</summary>\n", "</details>\n"}
    assert {token.content for token in tokens if token.type == "html_block"} <= ours


@given(streams)
def test_reports_are_whole(stream):
    """JUnit is XML with a case for each proof and error; the others are JSON; dotenv has plain lines."""
    suites = ElementTree.fromstring(render(FORMATS["junit"], stream, {}))
    proofs = sum(len(e.facts["document"]["proofs"]) + 1 for e in stream if e.kind == "result")
    failed = sum(event.kind == "error" for event in stream)
    assert len(list(suites.iter("testcase"))) == proofs + failed
    told = failed + sum(event.kind == "stage" for event in stream)
    assert len(json.loads(render(FORMATS["sarif"], stream, {}))["runs"][0]["results"]) == told
    found = json.loads(render(FORMATS["code-quality"], stream, {}))
    assert len(found) == told
    for line in render(FORMATS["dotenv"], stream, {}).splitlines():
        assert re.fullmatch(r"PACKED_(NAME|DIGEST|PATH)=[\w ./:+@=,-]*", line)


@given(streams)
def test_each_event_is_a_line(stream):
    """JSON lines are ASCII, one for each event, and have its values."""
    lines = event_lines(stream, {})
    assert lines.isascii()
    assert [json.loads(line)["event"] for line in lines.split("\n")[:-1]] == [event.kind for event in stream]
