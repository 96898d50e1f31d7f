"""The workflows and issue forms, read: they parse, hang together, and call only what exists."""

import re

import pytest
import yaml
from papers import ROOT, exists, paths_of, spans_of, wrong_calls, wrong_options, wrong_targets

from ollama_pack.cli.app import COMMAND_GROUPS

WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").iterdir())}
FORMS = {path.stem: path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").iterdir())}
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
REPOSITORY = "https://github.com/ollama-pack/ollama-pack"
FIELDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}

each_workflow = pytest.mark.parametrize("name", WORKFLOWS)
each_form = pytest.mark.parametrize("name", [name for name in FORMS if name != "config"])


def read(path):
    """Return a document in YAML."""
    return yaml.safe_load(path.read_text("utf-8"))


def jobs(name):
    """Return the jobs of a workflow by their names."""
    return read(WORKFLOWS[name])["jobs"]


def steps(name):
    """Return all steps of a workflow."""
    return [step for job in jobs(name).values() for step in job.get("steps", [])]


def scripts(name):
    """Return every line that a workflow runs."""
    return [line.strip() for step in steps(name) for line in step.get("run", "").splitlines()]


def texts(value):
    """Yield every text of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def test_the_workflows_are_these():
    """There is one workflow for every change, and one for a release."""
    assert set(WORKFLOWS) == {"ci", "release"}


@each_workflow
def test_jobs_hang_together(name):
    """Every job waits only for jobs that exist, ends by itself, and fetches what another uploaded."""
    for job in jobs(name).values():
        needed = job.get("needs", [])
        assert {needed} <= set(jobs(name)) if isinstance(needed, str) else set(needed) <= set(jobs(name))
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
        else:
            assert job["runs-on"]
            assert 0 < job["timeout-minutes"] <= 60
            assert all("run" in step or "uses" in step for step in job["steps"])
    uploaded = {step["with"]["name"] for step in steps("ci") if "upload-artifact" in step.get("uses", "")}
    fetched = {step["with"]["name"] for step in steps(name) if "download-artifact" in step.get("uses", "")}
    assert fetched <= uploaded


@each_workflow
def test_permissions_are_few(name):
    """A workflow may read alone; what a job may beyond that is said in the job. No secret is used."""
    assert read(WORKFLOWS[name])["permissions"] == {"contents": "read"}
    assert "secrets." not in WORKFLOWS[name].read_text("utf-8")
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_a_release_may_write():
    """No job of CI has a permission of its own; publishing has the identity token, and nothing else."""
    assert not [job for job in jobs("ci").values() if "permissions" in job]
    assert jobs("release")["publish"]["permissions"] == {"id-token": "write"}
    assert jobs("release")["publish"]["environment"] == "release"


@each_workflow
def test_actions_have_versions(name):
    """Every action is named with its version, and one action has one version in all workflows."""
    used = [step["uses"] for each in WORKFLOWS for step in steps(each) if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action) for action in used)
    assert len(set(used)) == len({action.partition("@")[0] for action in used})


def test_what_workflows_run_exists():
    """Targets of make, commands and options of ollama-pack, dependency groups and markers are real ones."""
    lines = [line for name in WORKFLOWS for line in scripts(name)]
    assert wrong_targets(lines) == set()
    assert list(wrong_calls(lines)) == []
    groups = {group for line in lines for group in re.findall(r"--group (\w+)", line)}
    assert groups
    assert all(re.search(rf"^{group} = \[", PYPROJECT, re.M) for group in groups)
    marked = re.findall(r"not (\w+)", " ".join(line for line in lines if line.startswith("pytest")))
    assert sorted(marked) == ["live", "llama"]
    assert all(f'"{marker}: ' in PYPROJECT for marker in marked)


def test_ci_tests_what_is_shipped_everywhere():
    """The wheel and the sdist are built once, and tested on three systems with five Pythons."""
    matrix = jobs("ci")["test"]["strategy"]["matrix"]
    assert matrix["system"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert matrix["dist"] == ["wheel", "sdist"]
    assert [each["dist"] for each in matrix["include"]] == matrix["dist"]
    assert jobs("ci")["test"]["needs"] == "build"
    assert [line for line in scripts("ci") if line.startswith("python -m build")] == [
        "python -m build --outdir dist"
    ]


def test_tests_run_against_what_is_installed():
    """CI calls pytest by its own name: `python -m pytest` would import the checkout."""
    runs = [line for line in scripts("ci") if "pytest" in line]
    assert runs
    assert all(line.startswith("pytest ") for line in runs)


def test_a_release_is_a_tag_that_ci_has_passed():
    """A release starts with a tag, and everything in it waits for CI."""
    document = read(WORKFLOWS["release"])
    assert document[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}  # YAML reads `on` as true
    assert "workflow_call" in read(WORKFLOWS["ci"])[True]
    waits = {name: job.get("needs") for name, job in document["jobs"].items()}
    assert waits == {"ci": None, "attest": "ci", "publish": "attest", "page": "publish"}


@each_form
def test_forms_are_whole(name):
    """A form has a name, a description and fields that GitHub knows, each with a label and its own id."""
    form = read(FORMS[name])
    assert (
        {"name", "description", "body"} <= form.keys() <= {"name", "description", "title", "labels", "body"}
    )
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in form["body"]} <= FIELDS
    assert all(field["attributes"]["label"] for field in asked)
    ids = [field["id"] for field in asked]
    assert len(set(ids)) == len(ids)
    assert any(field.get("validations", {}).get("required") for field in asked)
    for field in form["body"]:
        assert field.keys() <= {"type", "id", "attributes", "validations"}
        assert field["attributes"].keys() <= {
            "value",
            "label",
            "description",
            "placeholder",
            "render",
            "options",
        }


@each_form
def test_forms_name_what_exists(name):
    """Every command, option and path that a form names exists."""
    words = list(texts(read(FORMS[name])))
    lines = [line for text in words for line in (*spans_of(text), *re.findall(r"^\$ .*", text, re.M))]
    assert list(wrong_calls(lines)) == []
    assert wrong_options(lines) == []
    assert [path for text in words for path in paths_of(text) if not exists(path)] == []


def test_a_bug_comes_with_two_documents():
    """The form for bugs demands what doctor and inspect say, as documents."""
    fields = {field.get("id"): field for field in read(FORMS["bug"])["body"]}
    for command, call in (
        ("doctor", "ollama-pack doctor --json"),
        ("inspect", "ollama-pack inspect DIR --json"),
    ):
        assert command in COMMAND_GROUPS
        assert f"`{call}`" in fields[command]["attributes"]["label"]
        assert fields[command]["attributes"]["render"] == "json"
        assert fields[command]["validations"] == {"required": True}


def test_links_of_the_forms_lead_to_the_project():
    """Every link of a form, and every page it leads to, is this project's."""
    found = [
        link for path in FORMS.values() for link in re.findall(r"https://[^\s)]+", path.read_text("utf-8"))
    ]
    assert len(found) >= 5
    assert all(link.startswith(f"{REPOSITORY}/") for link in found)
    pages = [link.partition("/blob/main/")[2] for link in found if "/blob/main/" in link]
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_contact_links_are_whole():
    """The chooser has only what GitHub knows, and every link says what it is for."""
    config = read(FORMS["config"])
    assert config.keys() == {"blank_issues_enabled", "contact_links"}
    assert all(link.keys() == {"name", "url", "about"} for link in config["contact_links"])
