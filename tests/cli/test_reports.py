"""Reports as their own readers have them: SARIF by Microsoft's multitool, JUnit by junitparser."""

import json
import os
import subprocess

import pytest
from junitparser import Failure, JUnitXml, Skipped
from terminal import run

from ollama_pack.cli.events.event import Event
from ollama_pack.cli.events.summary import STEP_SUMMARY_BYTES
from ollama_pack.cli.events.views import FORMATS, render

MULTITOOL = os.environ.get("OLLAMA_PACK_TEST_SARIF", "")
STRANGE = "100%, a: <b> \u2028]]> \x1b[2J\nsecond line ::error::x\U0001f40e"


def error(what=STRANGE, where=""):
    """Return the event of an error."""
    return Event("error", {"code": "damaged", "what": what, "where": where, "try": "a % b", "exit_code": 3})


def result(proofs, name=STRANGE):
    """Return the event of a build with proofs."""
    made = {"path": "dist/x.gguf", "digest": f"sha256:{'0' * 64}", "size": 5}
    told = [{"proof": proof, "passed": passed, "summary": STRANGE} for proof, passed in proofs]
    document = {"name": name, "lora": made, "proofs": told, "not_proved": [{"proof": "load", "why": STRANGE}]}
    return Event("result", {"kind": "build", "document": document}, "ada")


@pytest.fixture
def findings(tmp_path, ada, tiny_gguf):
    """Return a SARIF file of a run with an error at a file, and of one with errors at no file."""
    (ada / "adapter_config.json").write_text("{")
    path = tmp_path / "found.sarif"
    assert run("build", ada, "--base", tiny_gguf, "--write", f"sarif={path}").code == 3
    document = json.loads(path.read_text())
    others = json.loads(render(FORMATS["sarif"], [error(), error(where="nowhere")], {}))
    document["runs"] += others["runs"]
    path.write_text(json.dumps(document))
    return path


def test_a_finding_has_what_code_scanning_requires(findings):
    """Every rule is described once; every result has a file, a line, and a print to know it again."""
    runs = json.loads(findings.read_text())["runs"]
    assert [len(each["results"]) for each in runs] == [1, 2]
    for each in runs:
        rules = each["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == sorted({found["ruleId"] for found in each["results"]})
        assert all({"shortDescription", "fullDescription", "help"} <= rule.keys() for rule in rules)
        for found in each["results"]:
            (place,) = found["locations"]
            assert place["physicalLocation"]["artifactLocation"]["uri"]
            assert place["physicalLocation"]["region"]["startLine"] == 1
            assert found["partialFingerprints"]["primaryLocationLineHash"].endswith(":1")


def test_the_multitool_finds_nothing(findings):
    """Microsoft's validator, with the rules of GitHub's code scanning, has no error and no warning."""
    if not MULTITOOL:
        pytest.skip("NOT TESTED: OLLAMA_PACK_TEST_SARIF names no Sarif.Multitool")
    how = ("--rule-kind", "Sarif;Ghas", "--level", "Error;Warning", "--kind", "Fail")
    ran = subprocess.run(
        [MULTITOOL, "validate", findings, *how],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Analysis completed successfully." in ran.stdout
    told = [line for line in ran.stdout.splitlines() if ": error " in line or ": warning " in line]
    assert told == []


def test_junit_by_its_reader(tmp_path):
    """Junitparser counts what passed, failed and was not proved, and reads the words of each."""
    events = [result([("numbers", True), ("base", False)]), error()]
    (tmp_path / "junit.xml").write_text(render(FORMATS["junit"], events, {}), "utf-8")
    model, failed = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (model.tests, model.failures, model.skipped) == (3, 1, 1)
    outcomes = {case.name: [type(each) for each in case.result] for case in model}
    assert outcomes == {"numbers": [], "base": [Failure], "load": [Skipped]}
    assert "second line" in model.name
    (case,) = failed
    (failure,) = case.result
    assert (failed.failures, case.name) == (1, "damaged")
    assert failure.message.startswith("100%, a: <b>")
    assert "second line ::error::x\U0001f40e\ntry: a % b" in failure.text


def test_a_summary_leaves_room_for_the_others_of_its_step(tmp_path):
    """All commands of a step share a mebibyte: what is too long is cut at a line, or not written."""
    path = tmp_path / "summary.md"
    path.touch()
    events, lengths = [error(f"{'word ' * 2000}{number}") for number in range(100)], []
    for _ in range(3):
        text = render(FORMATS["summary"], events, {"GITHUB_STEP_SUMMARY": str(path)})
        assert not text or text.endswith("The rest is in the log.\n")
        lengths.append(len(text.encode()))
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    assert lengths[0] > lengths[1] > lengths[2]
    assert path.stat().st_size <= STEP_SUMMARY_BYTES
