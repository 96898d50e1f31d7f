"""One output folder, several builds: each has the folder to itself, and delivers its own file."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ollama_pack.disk.locks import folder_lock
from ollama_pack.ollama.names import parse_name
from ollama_pack.ollama.store_layout import manifest_path
from ollama_pack.pipeline import build, register
from ollama_pack.pipeline.request import Request

TYPES = ("f16", "f32", "bf16") * 4


@pytest.fixture
def asked(make_adapter, tiny_gguf, tmp_path, monkeypatch):
    """Return a build beside the adapter, into a scratch store."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = tmp_path / "models"
    return Request(directory=make_adapter(), name="ada", base=str(tiny_gguf), via="store", store=store)


def test_each_build_delivers_its_own_file(asked):
    """Builds of one folder that differ in the type of their tensors give each model the right adapter."""
    requests = [replace(asked, name=f"ada:{number}", outtype=kind) for number, kind in enumerate(TYPES)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(build.build, requests))
    for request, outcome in zip(requests, outcomes, strict=True):
        manifest = json.loads(manifest_path(asked.store, parse_name(request.name)).read_bytes())
        assert outcome.lora.outtype == request.outtype
        assert outcome.lora.digest in {layer["digest"] for layer in manifest["layers"]}


@pytest.mark.parametrize("use", [build.build, register.register])
def test_who_waits_says_so(asked, tmp_path, use):
    """A build or a registration waits for the one that has the folder, by whatever path it was named."""
    build.build(asked)
    link = tmp_path / "link"
    link.symlink_to(asked.directory / "ollama")
    told, waiting = [], threading.Event()

    def progress(label, _done, _total):
        told.append(label)
        waiting.set()

    with ThreadPoolExecutor(1) as pool:
        with folder_lock(link):
            done = pool.submit(use, asked, progress=progress)
            assert waiting.wait(20)
            assert not done.done()
        done.result(20)
    waited_for = f"another ollama-pack process that uses {asked.directory / 'ollama'}"
    assert told[0] == f"waiting up to 30 minutes for {waited_for}"
