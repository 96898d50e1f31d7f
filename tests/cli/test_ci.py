"""docs/ci.md, action.yml and ci/gitlab.yml, linted and run: from a checkpoint to a machine, and back."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import fake_web
import pytest
import yaml
from forge import Github, StepFailedError, calls_of, fill_bucket, gitlab_jobs, make_tools, path_of, run_gitlab
from played_hub import publish
from recipes import write_adapter
from terminal import CODE, add_base, digest_in, environment

PAGE = (CODE / "docs" / "ci.md").read_text("utf-8")
BASE = "tiny:1m"
"""Stands for the base of the page, whose weights nobody has here."""

WRITTEN = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
TOLD_STEPS, WORKFLOW, HUB_STEPS, PIPELINE, HUB_INCLUDE = (
    text.replace("smollm2:135m", BASE) for text in WRITTEN
)
assert PAGE.count("```") == 2 * len(WRITTEN), "a block of another kind, which nothing here executes"
"""Every block of the page: steps with reports, both pipelines, and what differs for an adapter on the Hub."""
ACTION = yaml.safe_load((CODE / "action.yml").read_text("utf-8"))
GITLAB = (CODE / "ci" / "gitlab.yml").read_text("utf-8")
TOKEN = "hf_BaItToKeNbAiT"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: needs bash")


@pytest.fixture
def home(tmp_path, tiny_gguf):
    """Return the home of the stand-ins, with a base in the library and two checkpoints in the bucket."""
    home = tmp_path / "forge"
    home.mkdir()
    add_base(home / "library", tiny_gguf, *BASE.split(":"))
    for number, tag in enumerate(("ada-1.0.0", "ada-1.1.0")):
        adapter = write_adapter(tmp_path / tag, config={"lora_alpha": 6 + number})
        fill_bucket(home, tag, adapter)
    return home


@pytest.fixture
def environ(home, models):
    """Return the environment of a runner, whose PATH begins with the stand-ins."""
    return environment(PATH=path_of(make_tools(home)), OLLAMA_MODELS=str(models))


def github(home, environ, event, **more):
    """Return a runner for an event."""
    shutil.rmtree(home / "work", ignore_errors=True)
    context = {
        "github": {"event_name": event, "token": TOKEN, "repository": "ada/models", **more},
        "vars": {"BUCKET": "models"},
        "secrets": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        "inputs": {"version": more.get("version", "")},
    }
    return Github(home, environ, context)


def release_and_deploy(home, environ, tag):
    """Run the jobs of a tag, and return the runner."""
    jobs = yaml.safe_load(WORKFLOW)["jobs"]
    runner = github(home, environ, "push", ref_name=tag)
    for name in ("release", "deploy"):
        assert "if" not in jobs[name] or runner.holds(jobs[name]["if"], runner.context)
        runner.job(jobs[name], {})
    assert not runner.holds(jobs["rollback"]["if"], runner.context)
    return runner


def test_github_there_and_back(home, environ, models):
    """Two tags are released and deployed; then the workflow goes back, by one and to a version."""
    runner = release_and_deploy(home, environ, "ada-1.0.0")
    first = digest_in(models, "ada-lovelace")
    assert WRITTEN[1] != WORKFLOW
    assert {path.name for path in (home / "releases" / "ada-1.0.0").iterdir()} >= {
        "release.json",
        "SHA256SUMS",
    }
    assert "| ada&#45;lovelace&#58;1&#46;0&#46;0 | tiny&#58;1m |" in runner.summary
    published = next(call for call in calls_of(home) if call[:3] == ["gh", "release", "create"])
    assert published[published.index("--title") + 1] == "ada-lovelace:1.0.0"
    assert re.fullmatch("sha256:[0-9a-f]{64}", published[published.index("--notes") + 1])
    used = dict(runner.used)
    assert {"actions/checkout@v6", "actions/setup-python@v6", "actions/cache@v5"} <= set(used)
    predicate = json.loads((home / "temp" / "provenance.json").read_text())
    assert predicate["buildDefinition"]["externalParameters"]["model"] == "ada-lovelace:1.0.0"
    release_and_deploy(home, environ, "ada-1.1.0")
    second = digest_in(models, "ada-lovelace")
    assert first != second
    back = yaml.safe_load(WORKFLOW)["jobs"]["rollback"]
    for version, expected in (("", first), ("1.1.0", second), ("1.0.0", first)):
        runner = github(home, environ, "workflow_dispatch", version=version)
        assert runner.holds(back["if"], runner.context)
        runner.job(back, {})
        assert digest_in(models, "ada-lovelace") == expected, version


def from_the_hub(workflow, steps):
    """Return a workflow with the steps for the Hub in place of the bucket's."""
    before, _, rest = workflow.partition("      - name: Fetch the checkpoint\n")
    _, mark, after = rest.partition("      - name: Take the predicates")
    return f"{before}{textwrap.indent(steps, ' ' * 6)}{mark}{after}"


@pytest.fixture
def on_the_hub(tmp_path):
    """Return the environment of a runner whose Hub has the checkpoint of a tag, and a pickle."""
    pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
    adapter = write_adapter(tmp_path / "hub-lora")
    files = {path.name: path.read_bytes() for path in adapter.iterdir()}
    with fake_web.running() as web:
        web.token = TOKEN
        publish(web, {**files, "optimizer.pt": b"\x80\x04."}, "ada/ada-lovelace-lora", "ada-1.0.0")
        yield {"HF_ENDPOINT": web.address, "HF_HUB_CACHE": str(tmp_path / "cache")}
        assert not [path for path, *_ in web.asked if path.endswith(".pt")]


def test_github_from_the_hub(home, environ, on_the_hub):
    """With the steps for the Hub in place of the bucket's, the workflow makes the same tagged release."""
    job = yaml.safe_load(from_the_hub(WORKFLOW, HUB_STEPS))["jobs"]["release"]
    runner = github(home, {**environ, **on_the_hub}, "push", ref_name="ada-1.0.0")
    runner.context["secrets"]["HF_TOKEN"] = TOKEN
    runner.job(job, {})
    record = json.loads((home / "releases" / "ada-1.0.0" / "release.json").read_text())
    assert record["model"] == "ada-lovelace:1.0.0"
    assert not any(call[0] == "aws" for call in calls_of(home))
    assert (runner.commands[0].name, runner.commands[0].text) == ("add-mask", TOKEN)
    assert TOKEN not in runner.log.partition("\n")[2]


def test_gitlab_from_the_hub(home, environ, on_the_hub, models):
    """The file that is included with an address needs no job that fetches."""
    shutil.copytree(home / "library", models)
    pipeline = yaml.safe_load(PIPELINE)
    pipeline.update(yaml.safe_load(HUB_INCLUDE))
    del pipeline["fetch"]
    jobs = gitlab_jobs(yaml.safe_dump(pipeline), GITLAB)
    work = home / "work-hub"
    work.mkdir()
    env = {**environ, **on_the_hub, "CI_COMMIT_TAG": "ada-1.0.0", "HF_TOKEN": TOKEN}
    log = run_gitlab(jobs["ollama-pack-release"], work, env) + run_gitlab(jobs["deploy"], work, env)
    assert digest_in(models, "ada-lovelace")
    assert TOKEN not in log


def test_the_action_masks_and_splits_words(home, environ, models, tmp_path):
    """A token is masked first, options are words and never code, and the base is pulled only if asked."""
    adapter = write_adapter(home / "ada $(touch pwned)-lora")
    shutil.copytree(home / "library", models)
    runner = github(home, environ, "push", ref_name="x")
    given = {
        "directory": str(adapter),
        "name": "ada:1",
        "base": BASE,
        "pull-base": "false",
        "options": "--system\nBe $(touch pwned); kind.\n--no-report",
        "hf-token": TOKEN,
    }
    step = {"id": "model", "uses": "ollama-pack/ollama-pack@v0.1.0", "with": given}
    scope = {**runner.context, "env": {}, "steps": {}, "runner": {"temp": str(home / "temp")}}
    runner.step(step, scope)
    assert (runner.commands[0].name, runner.commands[0].text) == ("add-mask", TOKEN)
    assert TOKEN not in runner.log.partition("\n")[2]
    assert not list(tmp_path.rglob("pwned"))
    assert "Be $(touch pwned); kind." in (home / "work" / "dist" / "Modelfile.txt").read_text()
    outputs = scope["steps"]["model"]["outputs"]
    assert (outputs["name"], outputs["path"]) == ("ada:1", "dist")
    assert ["ollama", "pull", BASE] not in calls_of(home)


def test_a_step_that_fails_ends_the_job(home, environ):
    """A release that cannot be made is an annotation, and nothing is published."""
    weights = home / "bucket" / "models" / "ada-1.0.0" / "adapter_model.safetensors"
    weights.write_bytes(b"x")
    runner = github(home, environ, "push", ref_name="ada-1.0.0")
    with pytest.raises(StepFailedError) as failed:
        runner.job(yaml.safe_load(WORKFLOW)["jobs"]["release"], {})
    assert failed.value.args[0] == 3
    (error,) = [each for each in runner.commands if each.name == "error"]
    assert error.properties["file"] == "ada-lovelace-lora/adapter_model.safetensors"
    assert not (home / "releases").exists()


def test_gitlab_there_and_back(home, environ, models):
    """The pipeline of two tags fetches, releases with its reports and deploys; then it goes back."""
    jobs = gitlab_jobs(PIPELINE, GITLAB)
    shutil.copytree(home / "library", models)  # the machine that runs the model has its base
    assert list(jobs) == ["ollama-pack-release", "fetch", "deploy", "rollback"]
    seen = []
    for tag in ("ada-1.0.0", "ada-1.1.0"):
        work = home / f"work-{tag}"
        work.mkdir()
        env = {**environ, "CI_COMMIT_TAG": tag, "BUCKET": "models"}
        for name in ("fetch", "ollama-pack-release", "deploy"):
            run_gitlab(jobs[name], work, env)
            artifacts = jobs[name].get("artifacts", {})
            reports = artifacts.get("reports", {}).values()
            assert all((work / path).exists() for path in (*artifacts.get("paths", ()), *reports))
        assert f"PACKED_NAME=ada-lovelace:{tag}\n" in (work / ".cache" / "release.env").read_text()
        seen.append(digest_in(models, "ada-lovelace"))
    run_gitlab(jobs["rollback"], work, environ)
    assert seen[0] != seen[1]
    assert digest_in(models, "ada-lovelace") == seen[0]


def test_the_inputs_are_documented():
    """docs/ci.md has a row for each input with its default, and for each output; GitLab takes the same."""
    rows = dict(re.findall(r"^\| `([\w-]+)` \| .*? \| (.*?) \|$", PAGE, re.M))
    for name, each in ACTION["inputs"].items():
        default = (
            "required" if each.get("required") else f"`{each['default']}`" if each["default"] else "empty"
        )
        assert rows.get(name) == default, name
        assert each["description"].endswith(".")
    told = set(re.findall(r"^\| `([\w-]+)` \| [^|]*? \|$", PAGE, re.M))
    assert set(ACTION["outputs"]) <= told
    spec = next(yaml.safe_load_all(GITLAB))["spec"]["inputs"]
    assert set(spec) == set(ACTION["inputs"]) - {"hf-token"} | {"stage", "image"}


def test_the_versions_are_ours():
    """The page names the version of the package, and its permissions are few."""
    from ollama_pack import __version__

    assert set(re.findall(r"ollama-pack(?:@|/)v([\d.]+)", PAGE)) == {__version__}
    workflow = yaml.safe_load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_actionlint(tmp_path):
    """Actionlint finds nothing in the workflow, nor in this project's own."""
    actionlint = os.environ.get("OLLAMA_PACK_TEST_ACTIONLINT") or shutil.which("actionlint")
    if not actionlint:
        pytest.skip("NOT TESTED: no actionlint on the PATH, and OLLAMA_PACK_TEST_ACTIONLINT names none")
    place = tmp_path / ".github" / "workflows"
    shutil.copytree(CODE / ".github" / "workflows", place)
    (place / "model.yml").write_text(WRITTEN[1])
    (place / "hub.yml").write_text(from_the_hub(*WRITTEN[1:3]))
    (place / "told.yml").write_text(from_the_hub(WRITTEN[1], WRITTEN[0]))
    (tmp_path / ".github" / "actionlint.yaml").write_text("self-hosted-runner:\n  labels: [ollama]\n")
    (tmp_path / ".git").mkdir()
    ran = subprocess.run([actionlint, "-no-color"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
