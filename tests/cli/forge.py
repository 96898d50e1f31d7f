"""Plays the runners of GitHub and GitLab: takes steps out of their files, and runs them as those would.

What a job would fetch from elsewhere is a stand-in on the PATH: bucket, releases, pip and Ollama.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import yaml
from runner import Command, commands_of, outputs_of
from terminal import CODE

STEP_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
"""What a step writes into for the runner."""

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
TOOLS = {
    "aws": """
        source, target = words[-2:]
        shutil.copytree(home / "bucket" / source.partition("://")[2], target)
    """,
    "gh": """
        place = home / "releases"
        if words[:2] == ["release", "create"]:
            files = [word for word in words[3 : words.index("--title")]]
            (place / words[2]).mkdir(parents=True)
            for file in files:
                shutil.copy(file, place / words[2])
        else:
            shutil.copytree(place / words[2], words[words.index("--dir") + 1])
    """,
    "ollama": """
        if words[0] == "pull":
            shutil.copytree(home / "library", os.environ["OLLAMA_MODELS"], dirs_exist_ok=True)
    """,
    "jq": """
        print(json.dumps(json.loads(pathlib.Path(words[1]).read_text())[words[0].removeprefix(".")]))
    """,
    "python3": """
        if words[:2] == ["-m", "venv"]:
            made = pathlib.Path(words[2]) / "bin"
            made.mkdir(parents=True, exist_ok=True)
            for name in ("python", "ollama-pack"):
                shutil.copy(home / "tools" / name, made / name)
    """,
    "python": """
        assert words[:3] == ["-m", "pip", "install"], words
    """,
    "ollama-pack": """
        os.execv(sys.executable, [sys.executable, "-m", "ollama_pack", *words])
    """,
}
"""What each tool does that a job calls, in Python; every call is written into `calls`."""


class StepFailedError(Exception):
    """A step ended with an exit code; its log is the second value."""


def make_tools(home):
    """Write the stand-ins, and return their directory; ollama-pack is there as on a machine with Ollama."""
    tools = home / "tools"
    tools.mkdir()
    head = "import json, os, pathlib, shutil, sys\n"
    for name, body in TOOLS.items():
        lines = [line[8:] for line in body.strip("\n").splitlines()]
        text = (
            f"#!{sys.executable}\n{head}home, words = pathlib.Path({str(home)!r}), sys.argv[1:]\n"
            "with (home / 'calls').open('a') as calls:\n"
            f"    calls.write(json.dumps([{name!r}, *words]) + '\\n')\n" + "\n".join(lines)
        )
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    return tools


def calls_of(home):
    """Return the calls of stand-ins so far."""
    return [json.loads(line) for line in (home / "calls").read_text().splitlines()]


class Github:
    """A runner of GitHub Actions.

    Attributes:
        home: where the stand-ins keep their things.
        log: everything that was printed.
        summary: the summaries of all steps.
        used: the actions of others that were used, with their inputs.
    """

    def __init__(self, home, environ, context):
        self.home, self.context = home, context
        self.environ = {**environ, "GITHUB_ACTIONS": "true", "CI": "true", "RUNNER_TEMP": str(home / "temp")}
        self.environ["GITHUB_WORKSPACE"] = str(home / "work")
        self.log, self.summary, self.used = "", "", []
        for name in ("temp", "work"):
            (home / name).mkdir(exist_ok=True)

    def job(self, job, env):
        """Run a job of a workflow; raise an error if a step fails."""
        scope = {
            **self.context,
            "env": dict(env),
            "steps": {},
            "runner": {"temp": self.environ["RUNNER_TEMP"]},
        }
        scope["env"] |= {key: self.filled(value, scope) for key, value in job.get("env", {}).items()}
        for step in job["steps"]:
            self.step(step, scope)

    def step(self, step, scope):
        """Run a step: a script, our action, or an action of somebody else."""
        if not self.holds(step.get("if", "true"), scope):
            return
        given = {key: self.filled(value, scope) for key, value in step.get("with", {}).items()}
        outputs = {}
        if "run" in step:
            outputs = self.script(step, scope)
        elif step["uses"].startswith("ollama-pack/ollama-pack@"):
            outputs = self.action(given, scope)
        else:
            self.used.append((step["uses"], given))
        if "id" in step:
            scope["steps"][step["id"]] = {"outputs": outputs}

    def action(self, given, scope):
        """Run the action of this project with inputs, and return its outputs."""
        action = yaml.safe_load((CODE / "action.yml").read_text("utf-8"))
        assert set(given) <= set(action["inputs"])
        missing = [key for key, each in action["inputs"].items() if each.get("required") and key not in given]
        assert missing == []
        inputs = {key: given.get(key, each.get("default", "")) for key, each in action["inputs"].items()}
        inner = {
            **scope,
            "inputs": inputs,
            "steps": {},
            "github": {**scope["github"], "action_path": str(CODE)},
        }
        for step in action["runs"]["steps"]:
            assert "run" not in step or step["shell"] == "bash"
            self.step(step, inner)
        return {key: self.filled(each["value"], inner) for key, each in action["outputs"].items()}

    def script(self, step, scope):
        """Run a script as the runner does, and return the outputs of its step."""
        assert "${{" not in step["run"], "an input in a script could be obeyed by the shell"
        files = {name: self.home / "temp" / name for name in STEP_FILES}
        for path in files.values():
            path.write_text("")
        own = {key: self.filled(value, scope) for key, value in step.get("env", {}).items()}
        env = {**self.environ, **scope["env"], **own, **{name: str(path) for name, path in files.items()}}
        script = self.home / "temp" / "step.sh"
        script.write_text(step["run"])
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env=env, cwd=self.home / "work", capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        self.log += ran.stdout + ran.stderr
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        if ran.returncode:
            raise StepFailedError(ran.returncode, ran.stdout + ran.stderr)
        for line in files["GITHUB_PATH"].read_text().splitlines():
            self.environ["PATH"] = f"{line}{os.pathsep}{self.environ['PATH']}"
        scope["env"] |= outputs_of(files["GITHUB_ENV"].read_text())
        return outputs_of(files["GITHUB_OUTPUT"].read_text())

    def filled(self, value, scope):
        """Return a value with its expressions replaced."""
        return EXPRESSION.sub(lambda found: str(self.value(found[1], scope)), str(value))

    def holds(self, condition, scope):
        """Return whether a condition of ``==``, ``!=`` and ``&&`` holds."""
        text = EXPRESSION.sub(r"\1", str(condition))
        for part in text.split("&&"):
            sides = re.split(r"\s*(==|!=)\s*", part.strip())
            values = [self.value(side, scope) for side in sides[::2]]
            if len(values) == 1 and values[0] in ("", "false", False):
                return False
            if len(values) == 2 and (values[0] == values[1]) is not (sides[1] == "=="):
                return False
        return True

    def value(self, text, scope):
        """Return the value of an expression: a text, a name of the context, or the digest of files."""
        if text in ("true", "false"):
            return text
        if text.startswith("'"):
            return text.strip("'")
        if text.startswith("hashFiles("):
            return "0" * 64
        found = scope
        for key in text.split("."):
            found = found.get(key, "") if isinstance(found, dict) else found
        return found

    @property
    def commands(self) -> list[Command]:
        """Return the commands in the log."""
        return commands_of(self.log)


def gitlab_jobs(text, included):
    """Return the jobs of a pipeline, with the file that it includes and its inputs put in."""
    pipeline = yaml.safe_load(text)
    given = pipeline["include"][0]["inputs"]
    header, body = yaml.safe_load_all(included)
    inputs = header["spec"]["inputs"]
    assert set(given) <= set(inputs)
    values = {key: given.get(key, (each or {}).get("default")) for key, each in inputs.items()}
    assert None not in values.values()

    def put(value):
        if isinstance(value, dict):
            return {key: put(each) for key, each in value.items()}
        if isinstance(value, list):
            return [put(each) for each in value]
        return (
            re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: values[found[1]], value)
            if isinstance(value, str)
            else value
        )

    jobs = {**put(body), **pipeline}
    return {key: each for key, each in jobs.items() if isinstance(each, dict) and "script" in each}


def run_gitlab(job, work, environ):
    """Run the script of a job as GitLab's runner does, and return its log."""
    env = {**environ, "GITLAB_CI": "true", "CI": "true", "CI_PROJECT_DIR": str(work)}
    for key, value in job.get("variables", {}).items():
        env[key] = re.sub(r"\$(\w+)", lambda found: env.get(found[1], ""), value)
    script = "\n".join(job["script"])
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    ran = subprocess.run(command, env=env, cwd=work, capture_output=True, text=True, check=False, timeout=120)
    if ran.returncode:
        raise StepFailedError(ran.returncode, ran.stdout + ran.stderr)
    return ran.stdout + ran.stderr


def fill_bucket(home, tag, adapter):
    """Put a checkpoint into the bucket, under the tag."""
    shutil.copytree(adapter, home / "bucket" / "models" / tag)


def path_of(tools):
    """Return a PATH that begins with the stand-ins."""
    return f"{tools}{os.pathsep}{os.environ['PATH']}"
