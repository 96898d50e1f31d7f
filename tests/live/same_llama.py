"""Lets `try` answer by the very llama.cpp that a real daemon runs: its own llama-server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import real_daemon

ROOT = Path(__file__).parents[2]
STANDS_BETWEEN = Path(__file__).with_name("server_of_daemon")


def environment_of(real, library):
    """Return the environment in which commands use a real daemon, and a llama.cpp from a folder."""
    address = real.address.removeprefix("http://")
    paths = os.pathsep.join((str(library), str(ROOT)))
    more = {"OLLAMA_HOST": address, "OLLAMA_MODELS": str(real.store), "PYTHONPATH": paths}
    return os.environ | more | {"OMP_WAIT_POLICY": "passive"}


def with_its_llama(place):
    """Return an environment in which llama.cpp is that of the daemon, or skip the test and say why."""
    program = Path(real_daemon.find_ollama()).resolve()
    server = program.parent.parent / "lib" / "ollama" / "llama-server"
    if not server.is_file() or not sys.platform.startswith("linux"):
        pytest.skip("NOT TESTED with the same llama.cpp: there is no llama-server beside this Ollama")
    paths = os.pathsep.join((str(STANDS_BETWEEN), str(ROOT)))
    return place | {"PYTHONPATH": paths, "LLAMA_SERVER": str(server)}


def ollama_pack(environment, *words, code=0):
    """Run a command, and return its results."""
    command = [sys.executable, "-m", "ollama_pack", *map(str, words)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == code, ran.stderr
    return ran.stdout


def answers_of(text, voice="adapted"):
    """Return prompt → answer of a model, for each conversation of a JSON document."""
    return {
        talk["prompt"]: each["text"]
        for talk in json.loads(text)["conversations"]
        for each in talk["answers"]
        if each["voice"] == voice
    }
