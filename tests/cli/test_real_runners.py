"""docs/ci.md on real runner programs: act runs the workflow and the action, gitlab-ci-local the pipeline.

Only what is elsewhere is a stand-in: bucket, releases of GitHub, pip, Ollama, and the action that attests.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from forge import calls_of
from junitparser import JUnitXml
from recipes import write_adapter
from terminal import CODE, digest_in
from test_ci import PIPELINE, WORKFLOW, environ, home  # noqa: F401 — fixtures
from test_ci_inputs import given, secrets_of  # noqa: F401 — fixtures

ACT = os.environ.get("OLLAMA_PACK_TEST_ACT", "")
ACTIONS = os.environ.get("OLLAMA_PACK_TEST_ACTIONS", "")
GITLAB_CI_LOCAL = os.environ.get("OLLAMA_PACK_TEST_GITLAB", "")
OTHERS = ("setup-python@v6", "cache@v5")
"""Actions of GitHub that run as they are, from clones below OLLAMA_PACK_TEST_ACTIONS."""

needs_act = pytest.mark.skipif(
    not (ACT and ACTIONS),
    reason="NOT TESTED: OLLAMA_PACK_TEST_ACT and OLLAMA_PACK_TEST_ACTIONS name no act and no actions",
)
STAND_IN = """
name: attest
runs:
  using: composite
  steps:
    - shell: bash
      run: test -s "$FILE"
      env:
        FILE: ${{ inputs.predicate-path }}
inputs:
  subject-path: {}
  predicate-type: {}
  predicate-path: {}
"""


class Act:
    """A repository with the workflow, and act, which runs its jobs on this machine."""

    def __init__(self, home, environ, workflow, folders=None):  # noqa: F811 — no fixtures here
        self.home, self.repository = home, home / "repository"
        self.environ = {**environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        for name in ("GITHUB_ACTIONS", "CI"):
            self.environ.pop(name, None)
        attest = home / "attest"
        attest.mkdir()
        (attest / "action.yml").write_text(STAND_IN)
        self.local = {"actions/attest@v3": attest, "ollama-pack/ollama-pack@v0.1.0": CODE}
        self.local |= {f"actions/{each}": Path(ACTIONS) / each.partition("@")[0] for each in OTHERS}
        place = self.repository / ".github" / "workflows"
        place.mkdir(parents=True)
        (place / "model.yml").write_text(workflow)
        for name, folder in (folders or {}).items():
            shutil.copytree(folder, self.repository / name)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git(
            "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--message=x"
        )
        python = home / "tool-cache" / "Python" / "3.12.0"
        shutil.copytree(home / "tools", python / "x64" / "bin")
        (python / "x64.complete").touch()

    def git(self, *words):
        """Run git in the repository."""
        subprocess.run(["git", *words], cwd=self.repository, env=self.environ, check=True)

    def run(self, event, *words, payload=None):
        """Have act run the workflow for an event; return its exit code, and its lines as JSON objects."""
        (self.home / "event.json").write_text(json.dumps(payload or {}))
        local = [f"--local-repository={name}={path}" for name, path in self.local.items()]
        tools = self.home / "tool-cache"
        command = [
            ACT, event, "--json", "--eventpath", str(self.home / "event.json"), *local, *words,
            "-P", "ubuntu-latest=-self-hosted", "-P", "self-hosted=-self-hosted",
            "--cache-server-addr", "127.0.0.1", "--var", "BUCKET=models", "-s", f"GITHUB_TOKEN={TOKEN}",
            "-s", "AWS_ACCESS_KEY_ID=AKIABAIT", "-s", "AWS_SECRET_ACCESS_KEY=BaItKey",
            "--env", f"RUNNER_TOOL_CACHE={tools}", "--env", f"AGENT_TOOLSDIRECTORY={tools}",
        ]  # fmt: skip
        ran = subprocess.run(
            command,
            cwd=self.repository,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


TOKEN = "ghp_BaItToKeNbAiT"


def told(lines, command):
    """Return what act understood of the commands and files of steps, by job."""
    found = {}
    for line in lines:
        if line.get("command") == command:
            found.setdefault(line["jobID"], {})[line.get("name", "")] = line.get(
                "arg", line.get("content", "")
            )
    return found


@needs_act
def test_act_runs_the_workflow(home, environ, models):  # noqa: F811
    """From the bucket to two tagged releases and the machine; back by one, and to a version."""
    act, digests = Act(home, environ, WORKFLOW), []
    for tag in ("ada-1.0.0", "ada-1.1.0"):
        act.git("tag", tag)
        code, lines = act.run("push", payload={"ref": f"refs/tags/{tag}"})
        assert code == 0
        digests.append(digest_in(models, "ada-lovelace"))
        assert (home / "releases" / tag / "release.json").is_file()
        outputs = told(lines, "set-output")
        version = tag.removeprefix("ada-")
        assert outputs["release"]["name"] == f"ada-lovelace:{version}"
        assert outputs["release"]["path"] == "dist"
        assert outputs["deploy"] | {"path": ""} == {
            "name": "ada-lovelace",
            "digest": f"sha256:{digests[-1]}",
            "path": "",
        }
        published = [call for call in calls_of(home) if call[:3] == ["gh", "release", "create"]][-1]
        assert published[-1] == outputs["release"]["digest"]
        (summary,) = {
            line["content"]
            for line in lines
            if line.get("command") == "summary" and "1&#46;" in line["content"]
        }
        assert f"| ada&#45;lovelace&#58;{version.replace('.', '&#46;')} | tiny&#58;1m |" in summary
        assert TOKEN not in "".join(line["msg"] for line in lines)
    assert digests[0] != digests[1]
    for version, expected in (("", 0), ("1.1.0", 1), ("1.0.0", 0)):
        assert act.run("workflow_dispatch", f"--input=version={version}")[0] == 0
        assert digest_in(models, "ada-lovelace") == digests[expected], version


FAILING = """
on: push
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - id: model
        uses: ollama-pack/ollama-pack@v0.1.0
        continue-on-error: true
        with:
          directory: 100%, a lora
          name: ada:1
          hf-token: "hf_100%BaIt"
      - if: ${{ !cancelled() }}
        run: |
          echo "seen: hf_100%BaIt and ${{ steps.model.outcome }}"
"""


@needs_act
def test_act_reads_the_annotation_and_the_mask(home, environ):  # noqa: F811
    """An error is at its file; a token that is no secret of the forge is masked from then on."""
    act = Act(home, environ, FAILING, {"100%, a lora": write_adapter(home / "lora")})
    broken = act.repository / "100%, a lora" / "adapter_config.json"
    broken.write_text('{"peft_type": "LORA",\n "r": }')
    code, lines = act.run("push")
    assert code == 0
    (error,) = [line for line in lines if line.get("command") == "error"]
    assert error["kvPairs"] == {"file": "100%, a lora/adapter_config.json", "title": "ollama-pack: damaged"}
    assert error["arg"].startswith("The file is not JSON")
    assert "\nin: " in error["arg"]
    (seen,) = [line["msg"].strip() for line in lines if line["msg"].startswith("seen: ")]
    assert seen == "seen: *** and failure"


needs_gitlab = pytest.mark.skipif(
    not GITLAB_CI_LOCAL, reason="NOT TESTED: OLLAMA_PACK_TEST_GITLAB names no gitlab-ci-local"
)


class GitlabCiLocal:
    """A repository with the pipeline, and gitlab-ci-local, which runs its jobs by a shell on this machine."""

    def __init__(self, home, environ, pipeline):  # noqa: F811 — no fixtures here
        self.home, self.repository = home, home / "repository"
        self.environ = {**environ, "HOME": str(home)}
        (self.repository / "ci").mkdir(parents=True)
        shutil.copy(CODE / "ci" / "gitlab.yml", self.repository / "ci")
        # It includes by HTTPS, which nobody here speaks for the address of the page.
        local, count = re.subn(r"remote: \S+", "local: ci/gitlab.yml", pipeline)
        assert count == 1
        (self.repository / ".gitlab-ci.yml").write_text(local)
        for words in (
            ("init", "--quiet", "--initial-branch=main"),
            ("remote", "add", "origin", "https://gitlab.example.com/ada/models.git"),
            ("add", "--all"),
            ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--message=x"),
        ):
            subprocess.run(["git", *words], cwd=self.repository, env=self.environ, check=True)

    def run(self, *words, **variables):
        """Run the pipeline, or the jobs that are named, with variables; return its exit code and its log."""
        told = [f"--variable={name}={value}" for name, value in variables.items()]
        how = ("--force-shell-executor", "--shell-isolation", "--color=false", "--max-job-name-padding=0")
        ran = subprocess.run(
            [GITLAB_CI_LOCAL, *how, *told, *words], cwd=self.repository, env=self.environ,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        return ran.returncode, ran.stdout + ran.stderr


@needs_gitlab
def test_gitlab_ci_local_runs_the_pipeline(home, environ, models):  # noqa: F811
    """Two tags are fetched, released with their reports and deployed; then the manual job goes back."""
    shutil.copytree(home / "library", models)
    runner, digests = GitlabCiLocal(home, environ, PIPELINE), []
    for tag in ("ada-1.0.0", "ada-1.1.0"):
        code, log = runner.run(CI_COMMIT_TAG=tag, BUCKET="models")
        assert code == 0, log
        digests.append(digest_in(models, "ada-lovelace"))
        record = json.loads((runner.repository / "dist" / "release.json").read_text())
        assert record["model"] == f"ada-lovelace:{tag}"
        (suite,) = JUnitXml.fromfile(str(runner.repository / ".cache" / "junit.xml"))
        assert (suite.name, suite.failures) == (f"ada-lovelace:{tag}", 0)
    assert digests[0] != digests[1]
    code, log = runner.run("rollback", CI_COMMIT_TAG=tag, BUCKET="models")
    assert (code, digest_in(models, "ada-lovelace")) == (0, digests[0]), log


@needs_gitlab
def test_gitlab_ci_local_takes_every_input(home, environ, given, registry, tmp_path):  # noqa: F811
    """A release that is tested, signed, held against a policy and pushed; the next job knows the place."""
    (tmp_path / "key.pem").write_text(given["sign-key"])
    inputs = {**given, "sign-key": "$SIGN_KEY", "registry-password": "$REGISTRY_PASSWORD"}
    pipeline = {
        "stages": ["build", "deploy"],
        "include": [{"remote": "https://example.com/gitlab.yml", "inputs": inputs}],
        "after": {"stage": "deploy", "script": ["echo named $PACKED_NAME at $PACKED_PLACE"]},
    }
    runner = GitlabCiLocal(home, environ, yaml.safe_dump(pipeline, width=1000))
    code, log = runner.run(SIGN_KEY=tmp_path / "key.pem", REGISTRY_PASSWORD=given["registry-password"])
    assert code == 0, log
    (place,) = re.findall(rf"named ada:1 at oci://{registry.host}/team/ada@(sha256:\w+)", log)
    assert ("team/ada", place) in registry.manifests
    assert (runner.repository / "reports" / "findings.sarif").is_file()
    assert not [secret for secret in secrets_of(given) if secret in log]


@needs_act
def test_act_takes_every_input(home, environ, given, registry):  # noqa: F811
    """The same by the action: an output names the place, and no line has a secret or the login made of it."""
    names = {"sign-key": "KEY", "sign-key-password": "KEY_PASSWORD", "registry-password": "PASSWORD"}
    step = {
        "id": "model",
        "uses": "ollama-pack/ollama-pack@v0.1.0",
        "with": given | {key: f"${{{{ secrets.{name} }}}}" for key, name in names.items()},
    }
    after = {
        "run": 'echo "at ${{ steps.model.outputs.place }}"; test ! -e "$RUNNER_TEMP/ollama-pack-key.pem"'
    }
    workflow = {"on": "push", "jobs": {"release": {"runs-on": "ubuntu-latest", "steps": [step, after]}}}
    act = Act(home, environ, yaml.safe_dump(workflow))
    secrets = [word for key, name in names.items() for word in ("-s", f"{name}={given[key]}")]
    code, lines = act.run("push", *secrets)
    assert code == 0, lines[-10:]
    log = "".join(line["msg"] for line in lines)
    places = set(re.findall(rf"at oci://{registry.host}/team/ada@(sha256:\w+)", log))
    assert len(places) == 1
    assert ("team/ada", *places) in registry.manifests
    login = base64.b64encode(f"{given['registry-username']}:{given['registry-password']}".encode()).decode()
    assert not [secret for secret in (*secrets_of(given), login) if secret in log]
