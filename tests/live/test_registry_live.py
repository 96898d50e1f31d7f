"""A model goes through a real registry from one Ollama to another, and answers the same there."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import real_daemon
from daemon_answers import chat, say
from loopback_server import QuietHandler, listening
from real_registry import distribution  # noqa: F401 — a fixture
from scratch_store import BASE_TAG

from ollama_pack.deliver import store

pytest.importorskip("oras", reason="the extra `oci` is not installed")
pytestmark = pytest.mark.live

ADA = Path(__file__).parent.parent.parent / "examples" / "ada-lovelace-lora"


@contextlib.contextmanager
def blobs_at_another_host(folder: Path):
    """Serve the blobs of a registry as an object store does, under another name of this machine."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = (folder / self.path.lstrip("/").partition("?")[0]).read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first = int(asked[1]) if asked else 0
            last = int(asked[2]) if asked and asked[2] else len(content) - 1
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(last + 1 - first))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[first : last + 1])

        do_HEAD = do_GET  # noqa: N815

    with listening(Handler) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def with_storage(distribution, tmp_path):  # noqa: F811
    """Return the host of a docker-registry that sends whoever wants a blob to another host for it."""
    with blobs_at_another_host(tmp_path / "data") as address:
        options = f"{{name: redirect, options: {{baseurl: '{address}'}}}}"
        yield distribution(f"middleware: {{storage: [{options}]}}")


@pytest.fixture
def second(tmp_path, base_file):
    """Yield another daemon, whose store is empty."""
    with real_daemon.running(tmp_path / "second") as real:
        yield real


def command(address: str, models: Path, *words: object) -> dict:
    """Run a command, which must succeed, and return its JSON document."""
    ran = subprocess.run(
        [sys.executable, "-m", "ollama_pack", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OLLAMA_HOST": address, "OLLAMA_MODELS": str(models)},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def ollama_pull(address: str, name: str) -> str:
    """Let Ollama itself pull a model, and return the last word of its answer."""
    body = {"model": name, "insecure": True, "stream": False}
    answer = httpx.post(f"{address}/api/pull", json=body, timeout=120, trust_env=False).json()
    return answer.get("error") or answer["status"]


def listed(address: str) -> dict[str, str]:
    """Return name → digest of the models of a daemon."""
    models = httpx.get(f"{address}/api/tags", timeout=20, trust_env=False).json()["models"]
    return {each["name"]: each["digest"] for each in models}


def pulled_with_its_base(live, base: object, registry: str, second, folder: Path) -> str:
    """Push the example with its base, have another daemon and ``pull`` fetch both, and return the place."""
    if "OLLAMA_PACK_TEST_BASE" not in os.environ:
        pytest.skip("NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make live fetches it)")
    here = (live.address, live.store)
    command(*here, "build", ADA, "ada", "--base", base, "--via", "folder", "--out", folder)
    place = f"{registry}/team/ada:1"
    pushed = command(*here, "push", folder, f"oci://{place}", "--with-base")
    assert ollama_pull(second.address, place) == "success"
    assert listed(second.address)[place] == pushed["ollama"].removeprefix("sha256:")
    command(second.address, second.store, "pull", f"oci://{place}", "ada")
    return place


def test_ollama_pulls_an_installed_model(live, package, with_storage, second):
    """Pushed from one store, pulled by another Ollama with nothing of ours: the same digest and answer."""
    receipt = store.write_to_store(package, live.store)
    pushed = command(live.address, live.store, "push", receipt.name, f"oci://{with_storage}/team/ada:1")
    assert pushed["ollama"] == f"sha256:{receipt.digest}"
    name = f"{with_storage}/team/ada:1"
    assert ollama_pull(second.address, name) == "success"
    assert listed(second.address)[name] == receipt.digest
    assert say(second.address, name) == live.say(receipt.name) != live.say(BASE_TAG)


def test_a_registry_that_sends_blobs_itself(live, package, distribution, second):  # noqa: F811
    """Ollama does not pull from it, for want of a Location; ollama-pack does, for that daemon."""
    receipt = store.write_to_store(package, live.store)
    place = f"{distribution()}/team/ada:1"
    command(live.address, live.store, "push", receipt.name, f"oci://{place}")
    assert "no Location header" in ollama_pull(second.address, place)
    pulled = command(second.address, second.store, "pull", f"oci://{place}")
    assert (pulled["name"], pulled["delivery"]["via"]) == ("ada:1", "pull")
    assert listed(second.address)["ada:1"] == receipt.digest
    assert say(second.address, "ada:1") == live.say(receipt.name)


def test_a_release_with_its_base(live, base_file, with_storage, second, tmp_path):
    """The example is built, pushed with its base, and pulled both ways by a daemon that has nothing."""
    place = pulled_with_its_base(live, BASE_TAG, with_storage, second, tmp_path / "release")
    assert "Ada Lovelace" in chat(second.address, "ada")
    assert chat(second.address, "ada") == chat(second.address, place)
    command(live.address, live.store, "register", tmp_path / "release", "ada", "--via", "store")
    assert chat(live.address, "ada") == chat(second.address, "ada")


def test_a_base_that_is_a_file(live, base_file, with_storage, second, tmp_path):
    """A model on a GGUF file goes with it: a daemon that has nothing pulls it both ways, with its answers."""
    place = pulled_with_its_base(live, base_file, with_storage, second, tmp_path / "release")
    command(live.address, live.store, "register", tmp_path / "release", "ada", "--via", "store")
    assert say(live.address, "ada") == say(second.address, "ada") == say(second.address, place)
