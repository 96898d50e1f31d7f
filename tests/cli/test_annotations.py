"""The habits of runners: annotations, groups, summaries, outputs, JSON lines and reports of a command."""

import json
from xml.etree import ElementTree

import jsonschema
import pytest
from recipes import write_adapter
from runner import commands_of, outputs_of
from terminal import SCHEMA, check_document, environment, run, spawn

from ollama_pack.cli.events import json_lines
from ollama_pack.cli.output import Console

SARIF_KEYS = {"ruleId", "level", "message", "locations", "partialFingerprints"}


@pytest.fixture
def github(tmp_path, monkeypatch):
    """Return the directory of a repository in which a step of GitHub Actions runs."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(root),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }.items():
        monkeypatch.setenv(name, value)
    return root


@pytest.fixture
def broken(github):
    """Return a directory of the repository with an adapter whose configuration is no JSON."""
    directory = write_adapter(github / "bro,ken: lora")
    (directory / "adapter_config.json").write_text("{")
    return directory


def lines_of_json(ran):
    """Return the events that a command printed, each of which is as docs/schema.json says."""
    schema = {**SCHEMA["$defs"]["event"], "$defs": SCHEMA["$defs"]}
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    for each in found:
        jsonschema.validate(each, schema, jsonschema.Draft202012Validator)
    return found


def test_an_error_is_at_its_file(broken, tiny_gguf):
    """The annotation names the file in the repository, and what to do; the exit code stays."""
    ran = run("build", broken, "--base", tiny_gguf)
    (error,) = commands_of(ran.stderr)
    assert (ran.code, error.name) == (3, "error")
    assert error.properties == {
        "file": "bro,ken: lora/adapter_config.json",
        "title": "ollama-pack: damaged",
    }
    assert error.text.startswith("The file is not JSON")


def test_no_annotations_elsewhere(broken, tiny_gguf, monkeypatch):
    """The option beats the environment, and outside a runner nothing is said to one."""
    assert commands_of(run("build", broken, "--base", tiny_gguf, "--annotations", "none").stderr) == []
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert commands_of(run("build", broken, "--base", tiny_gguf).stderr) == []
    ran = run("build", broken, "--base", tiny_gguf, "--annotations", "github")
    assert [each.name for each in commands_of(ran.stderr)] == ["error"]


def test_every_command_annotates(github):
    """A command without the option, and words that cannot be parsed, are told to the runner too."""
    for call, code in (
        (("versions", "no/such/model/x"), 2),
        (("build", "--nope"), 2),
        (("inspect", "x/"), 2),
    ):
        ran = run(*call)
        assert (ran.code, [each.name for each in commands_of(ran.stderr)]) == (code, ["error"]), call


def test_a_batch_has_groups(github, tiny_gguf, tmp_path):
    """Each directory is a group that ends; the summary is outside, and the outputs have a line for each."""
    for name, config in (("ada-lora", {}), ("babbage-lora", {"use_dora": True}), ("grace-lora", {})):
        write_adapter(github / name, modules=("v_proj",), config=config)
    ran = run("build", "--each", *sorted(github.iterdir()), "--base", tiny_gguf, "--via", "folder")
    assert ran.code == 4
    names = [each.name for each in commands_of(ran.stderr)]
    assert names == ["group", "endgroup", "group", "error", "endgroup", "group", "endgroup"]
    assert ran.stderr.rindex("::endgroup::") < ran.stderr.index("summary   2 of 3")
    outputs = outputs_of((tmp_path / "output").read_text())
    assert outputs["name"] == "ada\ngrace"
    assert outputs["path"].split("\n") == [
        (github / name / "ollama").as_posix() for name in ("ada-lora", "grace-lora")
    ]
    assert [each[:7] for each in outputs["digest"].split("\n")] == ["sha256:"] * 2
    page = (tmp_path / "summary.md").read_text()
    assert page.startswith("### ollama-pack\n")
    assert [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")] == [
        "| model",
        "| ada",
        "| grace",
    ]
    assert "**Error** " in page


def test_outputs_are_of_what_was_made(github, ada, tiny_gguf, tmp_path):
    """A proof after a build in one step, a plan, and a build that fails leave the outputs as they are."""
    assert run("build", ada, "--base", tiny_gguf, "--via", "folder").code == 0
    made = outputs_of((tmp_path / "output").read_text())
    assert made["path"] == (ada / "ollama").as_posix()
    assert run("verify", ada / "ollama", "--no-load").code == 0
    assert run("build", ada, "other", "--base", tiny_gguf, "--via", "folder", "--dry-run").code == 0
    assert run("build", ada, "--base", "no/such/base/x").code != 0
    assert outputs_of((tmp_path / "output").read_text()) == made


def test_before_and_after(github, ada, tiny_gguf, tmp_path):
    """A second build tells the digest that the folder had before, in the document and the summary."""
    call = ("build", ada, "--base", tiny_gguf, "--via", "folder", "--json")
    first = run(*call).document
    assert first["before"] is None
    (tmp_path / "summary.md").unlink()
    second = run(*call, "--parameter", "temperature=0.5").document
    assert second["before"] == {"manifest": first["delivery"]["digest"], "gguf": first["lora"]["digest"]}
    page = (tmp_path / "summary.md").read_text()
    for document in (first, second):
        assert f"`{document['delivery']['digest'][7:19]}`" in page


def test_a_merged_file_tells_its_sizes(github, ada, tiny_gguf, tmp_path):
    """The summary of a merge has what is kept of ΔW, and the sizes before and after."""
    assert run("merge", ada, "--base", tiny_gguf, "--out", tmp_path / "merged.gguf").code == 0
    (row,) = [
        line for line in (tmp_path / "summary.md").read_text().splitlines() if "changed weights" in line
    ]
    assert "before" in row
    assert "after" in row
    assert "%" in row


def test_a_runner_file_that_fails(github, ada, tiny_gguf, monkeypatch, tmp_path):
    """A build does not fail because the runner's file cannot be written; it says so."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "such" / "summary.md"))
    ran = run("build", ada, "--base", tiny_gguf, "--via", "folder")
    assert ran.code == 0
    assert "summary.md was not written" in ran.stderr


def test_gitlab_has_sections(tmp_path, tiny_gguf, monkeypatch):
    """On GitLab each directory is a section that is opened and closed."""
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    homes = [write_adapter(tmp_path / name, modules=("v_proj",)) for name in ("ada-lora", "grace-lora")]
    ran = run("build", "--each", *homes, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "out")
    opened = [part.split("\r")[0].split(":")[2] for part in ran.stderr.split("section_start")[1:]]
    closed = [part.split("\r")[0].split(":")[2] for part in ran.stderr.split("section_end")[1:]]
    assert (ran.code, opened, closed) == (
        0,
        ["ollama_pack_1", "ollama_pack_2"],
        ["ollama_pack_1", "ollama_pack_2"],
    )


def test_json_lines(ada, tiny_gguf):
    """Each line is an event, the result is the document of --json, and the last line has the exit code."""
    ran = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--json-lines")
    events = lines_of_json(ran)
    assert [each["event"] for each in events if each["event"] != "stage"] == ["result", "end"]
    assert events[-1]["exit_code"] == ran.code == 0
    (result,) = [each for each in events if each["event"] == "result"]
    check_document({"schema_version": 1, "kind": result["kind"], **result["document"]})
    failed = run("build", ada, "--base", "no/such/base/x", "--json-lines")
    assert [each["event"] for each in lines_of_json(failed)][-2:] == ["error", "end"]
    wrong = run("build", ada, "--nope", "--json-lines")
    assert [(each["event"], each["exit_code"]) for each in lines_of_json(wrong)] == [("error", 2), ("end", 2)]


def test_progress_is_a_line_in_ten_seconds(capsys, monkeypatch):
    """However often a step tells its progress, a line comes every ten seconds, and never a bar."""
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(json_lines.time, "monotonic", lambda: next(clock))
    console = Console(quiet=True, views=[json_lines.JsonLines()])
    for done in range(40):
        console.progress("base", done, 40)
    lines = capsys.readouterr().out.splitlines()
    assert 8 <= len(lines) <= 12
    assert all(json.loads(line)["event"] == "progress" for line in lines)


def test_every_format_is_written(broken, ada, tiny_gguf, tmp_path):
    """One run writes all formats: what holds is a case that passed, what failed is a finding at its file."""
    formats = ("junit", "sarif", "code-quality", "dotenv", "summary", "json-lines")
    asked = [f"--write={each}={tmp_path / each}" for each in formats]
    ran = run("build", "--each", broken, ada, "--base", tiny_gguf, "--via", "folder", *asked)
    assert ran.code == 3
    suites = ElementTree.parse(tmp_path / "junit").getroot()
    assert {suite.get("name"): suite.get("failures") for suite in suites} == {
        "ada": "0",
        broken.as_posix(): "1",
    }
    assert {case.get("name") for case in suites[0]} >= {"numbers"}
    (result,) = json.loads((tmp_path / "sarif").read_text())["runs"][0]["results"]
    assert set(result) == SARIF_KEYS
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (result["ruleId"], uri) == ("damaged", "bro%2Cken%3A%20lora/adapter_config.json")
    (finding,) = json.loads((tmp_path / "code-quality").read_text())
    assert (finding["severity"], finding["location"]["path"]) == (
        "critical",
        "bro,ken: lora/adapter_config.json",
    )
    variables = dict(line.split("=", 1) for line in (tmp_path / "dotenv").read_text().splitlines())
    assert variables["PACKED_NAME"] == "ada"
    assert (tmp_path / "summary").read_text().startswith("### ollama-pack\n")
    kinds = [json.loads(line)["event"] for line in (tmp_path / "json-lines").read_text().splitlines()]
    assert (kinds[0], kinds.count("result"), kinds[-1]) == ("begin", 1, "end")


def test_a_file_that_cannot_be_written(ada, tiny_gguf, tmp_path):
    """A file that was asked for and cannot be written is an error, told once."""
    (tmp_path / "file").touch()
    written = f"junit={tmp_path / 'file' / 'x.xml'}"
    ran = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--write", written)
    assert ran.code == 6
    assert ran.stderr.count("Error: ") == 1
    assert run("build", ada, "--write", "pdf=x").code == 2


def test_nothing_in_the_log_is_obeyed(github, tiny_gguf, monkeypatch):
    """A directory with a command in its name is shown, and the runner sees no command but ours."""
    adapter = write_adapter(github / "::set-output name=digest::x ##[add-mask]lora", modules=("v_proj",))
    monkeypatch.setenv("COLUMNS", "40")
    shown = run("inspect", adapter, "--base", tiny_gguf)
    assert [each for each in commands_of(shown.stdout + shown.stderr) if each.name != "error"] == []
    ran = run("build", adapter, "x", "--base", tiny_gguf, "--via", "folder", "--json", "--verbose")
    assert commands_of(ran.stderr + ran.stdout) == []
    assert ran.document["adapter"]["directory"].endswith("##[add-mask]lora")


def test_no_secret_is_printed_to_mask_it(ada, tiny_gguf):
    """A token of the environment is in no stream, also not as the argument of a mask."""
    env = environment(GITHUB_ACTIONS="true", HF_TOKEN="hf_BaItToKeNbAiT")
    ran = spawn("build", ada, "--base", tiny_gguf, "--via", "folder", env=env)
    assert ran.code == 0
    assert "hf_BaIt" not in ran.stderr + ran.stdout
