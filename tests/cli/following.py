"""Follow what a message says: take the command from it, and run it as a user would paste it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import environment, run

from ollama_pack.errors import PackError
from ollama_pack.pipeline.build import plan_build
from ollama_pack.pipeline.request import Request


def refusal(directory: Path, **request: object) -> PackError:
    """Return the error of a build."""
    with pytest.raises(PackError) as caught:
        plan_build(Request(directory=directory, via="folder", **request))
    return caught.value


def builds(directory: Path, base: Path | str, **request: object) -> None:
    """Require that a directory can be built, with all its pairs."""
    work, _ = plan_build(Request(directory=directory, base=str(base), via="folder", **request))
    assert work.adapter.pairs


def shell(command: str, tmp_path: Path, **programs: str) -> str:
    """Run a command as a user would paste it, with stand-ins for programs that are not here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    usual = {
        "python": f'exec {sys.executable} "$@"',
        "ollama-pack": f'exec {sys.executable} -m ollama_pack "$@" --via store',
    }
    for name, script in {**usual, **programs}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    env = environment(PATH=f"{tools}{os.pathsep}{os.environ['PATH']}", OLLAMA_HOST="127.0.0.1:9")
    env |= {"OLLAMA_MODELS": str(tmp_path / "models"), "HOME": str(tmp_path)}
    ran = subprocess.run(
        ["sh", "-ec", command],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def command_in(hint: str, start: str) -> str:
    """Return the one command of a hint: from its first word to the two blanks before an explanation."""
    (line,) = [line.strip() for line in hint.splitlines() if line.strip().startswith(start)]
    return line.partition("  ")[0].replace("RANK", "3").replace("ALPHA", "6")


def hint_of(*words: object, code: str) -> str:
    """Return what a command that fails says to try; `code` is the code of its error."""
    document = run(*words, "--json").document
    assert (document["kind"], document.get("code")) == ("error", code), document
    return document["try"]


def succeeds(*words: object) -> None:
    """Require that a command has exit code 0."""
    ran = run(*words)
    assert ran.code == 0, ran.stderr
