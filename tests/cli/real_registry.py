"""A release to push, Debian's docker-registry to push it to, and what ``docker login`` leaves."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from oci_registry import PASSWORD, USER
from terminal import add_base, run

REGISTRY = os.environ.get("OLLAMA_PACK_TEST_REGISTRY") or shutil.which("docker-registry")
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n"
"""The line of ``htpasswd`` for the user and the password of `oci_registry`."""


@pytest.fixture
def pushable(ada, tiny_gguf, models, tmp_path):
    """Return the folder of a build on a base that Ollama has."""
    add_base(models, tiny_gguf, "tiny", "latest")
    ran = run("build", ada, "ada", "--base", "tiny", "--via", "folder", "--out", tmp_path / "release")
    assert ran.code == 0, ran.stderr
    (tmp_path / "release" / "notes.txt").write_text("mine")
    return tmp_path / "release"


@pytest.fixture
def distribution(tmp_path):
    """Return a function that runs Debian's docker-registry, with or without a login."""
    if not REGISTRY:
        pytest.skip("NOT TESTED: no docker-registry here (Debian's package of that name)")
    processes = []

    def start(*more: str, http: str = "") -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:
            host = f"127.0.0.1:{server.getsockname()[1]}"
        config = tmp_path / f"registry-{len(processes)}.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'{http}}}\n"
            f"storage:\n  filesystem: {{rootdirectory: {tmp_path}/data}}\n" + "\n".join(more)
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(subprocess.Popen([REGISTRY, "serve", str(config)], **quiet))
        wait_for_registry(f"http{'s' if 'tls' in http else ''}://{host}")
        return host

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def wait_for_registry(address: str) -> None:
    """Return when a registry that was started answers; one that does not in half a minute is an error."""
    end = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{address}/v2/", trust_env=False, verify=False)
            return
        except httpx.TransportError:
            assert time.monotonic() < end, f"nothing answers at {address}"
            time.sleep(0.05)


def log_in(home: Path, host: str, password: str = PASSWORD) -> None:
    """Leave what ``docker login`` leaves."""
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def shared(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder that a registry gets."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "notes.txt"}
