"""zot, a registry of OCI's own manifests: a release goes in and comes out, with login and TLS."""

import json
import os
import shutil
import signal
import socket
import subprocess

import httpx
import pytest
from real_registry import HTPASSWD, log_in, shared, wait_for_registry
from terminal import run
from test_registry_faults import authority  # noqa: F401 — a fixture
from test_registry_resume import killed

pytest.importorskip("oras", reason="the extra `oci` is not installed")
ZOT = os.environ.get("OLLAMA_PACK_TEST_ZOT") or shutil.which("zot")
pytestmark = pytest.mark.skipif(
    not ZOT, reason="NOT TESTED: no zot here, and OLLAMA_PACK_TEST_ZOT names none"
)


@pytest.fixture
def zot(tmp_path):
    """Return a function that runs zot with settings of its `http`, and returns its host."""
    processes = []

    def start(**http) -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        host = f"127.0.0.1:{port}"
        settings = {
            "distSpecVersion": "1.1.1",
            "storage": {"rootDirectory": str(tmp_path / "zot"), "gc": False},
            "http": {"address": "127.0.0.1", "port": str(port), **http},
            "log": {"level": "error"},
        }
        (tmp_path / "zot.json").write_text(json.dumps(settings))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(subprocess.Popen([ZOT, "serve", str(tmp_path / "zot.json")], **quiet))
        wait_for_registry(f"http{'s' if 'tls' in http else ''}://{host}")
        return host

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def test_a_release_with_its_base(zot, pushable, tmp_path, monkeypatch):
    """Where it takes Ollama's manifests, all of it goes in; it lists what belongs to the model by itself."""
    host = zot(compat=["docker2s2"])
    place = f"oci://{host}/team/ada:1"
    pushed = run("push", pushable, place, "--with-base", "--json").document
    assert run("push", pushable, place, "--with-base", "--dry-run", "--json").document["bytes"] == 0
    tags = httpx.get(f"http://{host}/v2/team/ada/tags/list", trust_env=False).json()["tags"]
    assert sorted(tags) == ["1", "1-base", "1-release"]
    assert run("verify", place).code == 0
    pinned = f"oci://{host}/team/ada@{pushed['ollama']}"
    assert run("pull", pinned, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "elsewhere"))
    assert run("pull", place, "--via", "store").stdout == "ada:1\n"


def test_without_ollamas_manifests(zot, pushable, tmp_path):
    """As it comes it refuses a whole model, and the error says what goes in; a release does."""
    place = f"oci://{zot()}/team/ada:1"
    ran = run("push", pushable, place, "--with-base", "--json")
    assert (ran.code, ran.document["code"]) == (6, "registry")
    assert "docker2s2" in ran.document["try"]
    assert run("pull", place).code == 2
    assert run("push", pushable, place).code == 0
    assert run("verify", place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def test_a_login_with_tls(zot, pushable, authority, alone, monkeypatch):  # noqa: F811
    """No login and a wrong one are refused, Docker's is taken; the certificate has to be known."""
    own, certificate, key = authority
    tmp_path = own.parent
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    host = zot(
        tls={"cert": str(certificate), "key": str(key)},
        auth={"htpasswd": {"path": str(tmp_path / "htpasswd")}},
    )
    place = f"oci://{host}/team/ada:1"
    assert run("push", pushable, place, "--json").document["code"] == "no-network"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))
    assert run("push", pushable, place, "--json").document["what"] == "The registry asks for a login."
    log_in(alone, host, "planted-password")
    wrong = run("push", pushable, place, "--json")
    assert wrong.document["what"] == "The registry refuses the login."
    assert "planted-password" not in wrong.stdout + wrong.stderr
    log_in(alone, host)
    assert run("push", pushable, place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


@pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: no SIGKILL here")
def test_a_push_that_is_killed(zot, pushable, tmp_path):
    """The next run goes on, and nobody sees a half of it."""
    place = f"oci://{zot()}/team/ada:1"
    size = max(map(len, shared(pushable).values())) // 4 + 1
    for count in (2, 3):
        assert killed(size, "chunk", count, "push", pushable, place).code == -signal.SIGKILL
        assert run("pull", place, "--json").document["code"] == "no-such-directory"
    assert killed(size, "", 0, "push", pushable, place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)
