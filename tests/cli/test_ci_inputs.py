"""Inputs of action.yml and ci/gitlab.yml beyond the plain release: cases, policy, key, registry, reports."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from forge import StepFailedError, calls_of, gitlab_jobs, run_gitlab
from junitparser import JUnitXml
from oci_registry import PASSWORD, USER
from recipes import write_adapter
from runner import Command
from terminal import CODE
from test_ci import GITLAB, TOLD_STEPS, environ, github, home  # noqa: F401 — fixtures

pytest.importorskip("oras", reason="NOT TESTED: the extra `oci` is not installed")
pytest.importorskip("model_signing", reason="NOT TESTED: the extra `sign` is not installed")

from test_signed_release import write_keys

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: needs bash")

TOLD, *KEPT = yaml.safe_load(TOLD_STEPS)
TOLD = TOLD["with"]
"""The inputs of the page; a test takes places and secrets of its own."""

KEY_PASSWORD = "100% of horses"
CASE = "case: Who are you Ada"
HOLDS = '{"prompt": "Who are you Ada", "contains": "Ada"}\n'
FAILS = '{"name": "not, her", "prompt": "Who are you Ada", "contains": "Babbage"}\n'


@pytest.fixture
def given(home, environ, models, registry, tmp_path):  # noqa: F811 — fixtures
    """Return the inputs of a release that is tested, signed, held against a policy, and pushed."""
    environ["PYTHONPATH"] = os.pathsep.join((str(CODE), str(CODE / "tests" / "engine" / "stand_in")))
    shutil.copytree(home / "library", models)
    registry.login = "basic"
    private, public = write_keys(tmp_path, "ada", KEY_PASSWORD.encode())
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[signature]\nkeys = ["{public.name}"]\n[proofs]\nrequired = ["numbers", "{CASE}"]\n')
    (tmp_path / "cases.jsonl").write_text(HOLDS)
    return TOLD | {
        "directory": str(write_adapter(tmp_path / "ada-lora")),
        "name": "ada:1",
        "pull-base": "false",
        "cases": str(tmp_path / "cases.jsonl"),
        "policy": str(policy),
        "sign-key": private.read_text(),
        "sign-key-password": KEY_PASSWORD,
        "push": f"oci://{registry.host}/team/ada:1.0",
        "push-options": "--plain-http\n--with-base",
        "registry-username": USER,
        "registry-password": PASSWORD,
    }


def run_action(home, environ, given):  # noqa: F811 — no fixtures here
    """Run the action with inputs on the played runner, and return it with the outputs."""
    runner = github(home, environ, "push", ref_name="x")
    scope = {**runner.context, "env": {}, "steps": {}, "runner": {"temp": str(home / "temp"), "os": "Linux"}}
    step = {"id": "model", "uses": "ollama-pack/ollama-pack@v0.1.0", "with": given}
    try:
        runner.step(step, scope)
    except StepFailedError as failed:
        return runner, failed
    return runner, scope["steps"]["model"]["outputs"]


def secrets_of(given):
    """Return every line of a secret among inputs."""
    lines = [*given["sign-key"].splitlines(), given["sign-key-password"], given["registry-password"]]
    return {line for line in lines if not line.startswith("-----")}


def test_the_action_tests_signs_verifies_and_pushes(home, environ, given, registry):  # noqa: F811
    """Everything is asked for by inputs; the outputs name the place by its digest; no secret is left."""
    runner, outputs = run_action(home, environ, given)
    assert isinstance(outputs, dict), outputs.args[1]
    assert outputs["name"] == "ada:1"
    assert ("team/ada", "1.0") in registry.manifests
    assert outputs["place"].startswith(f"oci://{registry.host}/team/ada@sha256:")
    assert ("team/ada", outputs["place"].partition("@")[2]) in registry.manifests
    dist = home / "work" / "dist"
    assert {"model.sig", "release.json"} <= {path.name for path in dist.iterdir()}
    proofs = [each["proof"] for each in json.loads((dist / "release.json").read_text())["proofs"]]
    assert CASE in proofs
    (suite,) = JUnitXml.fromfile(str(home / "work" / "reports" / "junit.xml"))
    names = {case.name for case in suite}
    assert (suite.name, suite.failures, {"numbers", CASE} - names) == ("ada:1", 0, set())
    assert json.loads((home / "work" / "reports" / "findings.sarif").read_text())["runs"][0]["results"] == []
    masked = {each.text for each in runner.commands if each.name == "add-mask"}
    assert secrets_of(given) <= masked
    log = "".join(
        line for line in runner.log.splitlines(keepends=True) if not line.startswith("::add-mask::")
    )
    left = [path for path in (home / "temp").rglob("*") if path.is_file() and path.name not in ("step.sh",)]
    texts = [log, runner.summary, *(path.read_text(errors="replace") for path in left)]
    assert not [secret for secret in masked for text in texts if secret in text]
    assert not (home / "temp" / "ollama-pack-key.pem").exists()
    assert not (home / "temp" / "ollama-pack-login").exists()
    installed = next(call for call in calls_of(home) if call[:4] == ["python", "-m", "pip", "install"])
    assert installed[-1] == f"{CODE}[hub,report,try,oci,sign]"


def test_a_case_that_fails_is_told_and_nothing_is_pushed(home, environ, given, registry, tmp_path):  # noqa: F811
    """An annotation, a test that failed and a finding; no release, no push, and the key is gone."""
    (tmp_path / "cases.jsonl").write_text(HOLDS + FAILS)
    runner, failed = run_action(home, environ, given)
    assert failed.args[0] == 5
    errors = [each for each in runner.commands if each.name == "error"]
    assert [each.properties["title"] for each in errors] == ["ollama-pack: case"]
    assert isinstance(errors[0], Command)
    assert "not, her" in errors[0].text
    suites = JUnitXml.fromfile(str(home / "work" / "reports" / "junit.xml"))
    assert sum(suite.failures for suite in suites) == 1
    results = json.loads((home / "work" / "reports" / "findings.sarif").read_text())["runs"][0]["results"]
    assert [each["level"] for each in results] == ["error"]
    assert registry.manifests == {}
    assert not (home / "work" / "dist" / "SHA256SUMS").exists()
    assert not (home / "temp" / "ollama-pack-key.pem").exists()


def test_a_policy_that_is_not_met_ends_before_the_push(home, environ, given, registry, tmp_path):  # noqa: F811
    """Another signer than the policy names is exit code 5, and the registry stays empty."""
    (tmp_path / "policy.toml").write_text(
        f'[signature]\nkeys = ["{write_keys(tmp_path, "mallory")[1].name}"]\n'
    )
    _, failed = run_action(home, environ, given)
    assert failed.args[0] == 5
    assert registry.manifests == {}


def test_gitlab_takes_the_same(home, environ, given, registry, tmp_path):  # noqa: F811
    """The job of GitLab has the key as a file; reports and the place are where the job says."""
    (tmp_path / "key.pem").write_text(given["sign-key"])
    inputs = {**given, "sign-key": "$SIGN_KEY", "registry-password": "$REGISTRY_PASSWORD"}
    pipeline = {"include": [{"local": "x", "inputs": inputs}]}
    (job,) = gitlab_jobs(yaml.safe_dump(pipeline), GITLAB).values()
    work = home / "work-gitlab"
    work.mkdir()
    env = {**environ, "SIGN_KEY": str(tmp_path / "key.pem"), "REGISTRY_PASSWORD": PASSWORD}
    log = run_gitlab(job, work, env)
    artifacts = job["artifacts"]
    for path in (*artifacts["paths"], *artifacts["reports"].values()):
        assert (work / path).exists(), path
    variables = dict(
        line.split("=", 1) for line in (work / ".cache" / "release.env").read_text().splitlines()
    )
    assert variables["PACKED_NAME"] == "ada:1"
    assert registry.manifests["team/ada", variables["PACKED_PLACE"].partition("@")[2]]
    (suite,) = JUnitXml.fromfile(str(work / "reports" / "junit.xml"))
    assert suite.failures == 0
    texts = [log, *(path.read_text(errors="replace") for path in work.rglob("*") if path.is_file())]
    assert not [secret for secret in secrets_of(given) for text in texts if secret in text]


def test_ollama_that_was_installed_serves_what_is_cached(home, environ, given):  # noqa: F811
    """The installer's own service has another store than the cache: the action starts one on its own port."""
    tools = home / "tools"
    (tools / "ollama").rename(home / "ollama")
    (tools / "curl").write_text(f"#!/bin/sh\necho 'cp {home}/ollama {tools}/ollama'\n")
    (tools / "curl").chmod(0o755)
    for name in ("sh", "bash", "env", "cat", "cksum", "sleep", "cp", "rm", "mkdir", "base64", "tr"):
        (tools / name).symlink_to(shutil.which(name))
    environ |= {"PATH": str(tools), "HOME": str(home), "OLLAMA_MODELS": "/nowhere"}
    shell = subprocess.run(["sh", "-c", "command -v ollama"], env=environ, capture_output=True, check=False)
    assert shell.returncode, "the test is about a machine without Ollama"
    _, outputs = run_action(
        home, environ, {**given, "pull-base": "true", "push": "", "policy": "", "cases": ""}
    )
    assert isinstance(outputs, dict), outputs.args[1]
    assert (home / ".ollama" / "models" / "manifests").is_dir()
    record = json.loads((home / "work" / "dist" / "release.json").read_text())
    assert re.fullmatch("sha256:[0-9a-f]{64}", record["base"]["manifest"])


def test_what_the_page_keeps_is_what_the_action_writes():
    """The steps after the release name its files, and run also after one that failed."""
    assert KEPT[0]["with"]["sarif_file"] == TOLD["sarif"]
    assert KEPT[1]["with"]["path"] == TOLD["junit"]
    assert {each["if"] for each in KEPT} == {"${{ !cancelled() }}"}
    assert set(TOLD) <= set(yaml.safe_load((CODE / "action.yml").read_text("utf-8"))["inputs"])
