"""What daemons, stores, registries and web servers send, and the report that shows a run to a browser."""

import contextlib
import html.parser
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import httpx
from adapter_targets import GOLDENS, as_seeds, files
from target import Target

from ollama_pack.base import online
from ollama_pack.errors import DestinationError
from ollama_pack.http import fetch
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.manifest import parse_manifest
from ollama_pack.ollama.manifest_list import LIST_TYPES, gguf_children
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.request import Request
from ollama_pack.registry.artifact import (
    ARTIFACT_INDEX,
    TITLE,
    ArtifactFile,
    Descriptor,
    annotations_of,
    make_artifact,
    parse_artifact,
    subject_of,
    type_of_manifest,
)
from ollama_pack.registry.model_pack import model_config
from ollama_pack.registry.referrers import parse_index
from ollama_pack.report.html import render_report
from ollama_pack.report.run import report_on_run

LAYER = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'a' * 64}", "size": 9}
MANIFEST = {
    "schemaVersion": 2,
    "config": {**LAYER, "mediaType": "application/vnd.docker.container.image.v1+json"},
    "layers": [LAYER],
}
CHILDREN = {
    "mediaType": LIST_TYPES[0],
    "manifests": [{**MANIFEST, "runner": "llamacpp"}, {"runner": "ggml", "digest": f"sha256:{'b' * 64}"}],
}
RELEASE = make_artifact(
    [ArtifactFile("ollama-pack.lock", f"sha256:{'a' * 64}", 9)],
    {TITLE: "ada"},
    Descriptor("application/vnd.oci.image.manifest.v1+json", f"sha256:{'b' * 64}", 9),
    model_config("ada", "llama", [f"sha256:{'a' * 64}"]),
)
ANSWERS = (
    {"version": "0.33.0"},
    {
        "models": [
            {
                "name": "a:b",
                "model": "a:b",
                "digest": "c" * 64,
                "size": 5,
                "modified_at": "2026-11-27T08:09:10.12Z",
                "details": {"runner": "ggml"},
            }
        ]
    },
    {
        "modelfile": "FROM x\nADAPTER /x",
        "details": {"format": "gguf"},
        "model_info": {"general.architecture": "llama"},
        "tensors": [{"name": "a", "shape": [4, 4], "type": "F32"}],
    },
    {"response": "x", "logprobs": [{"logprob": -1.5, "token": "x"}]},
    {"status": "pulling", "completed": 1, "total": 2},
    {"error": "no such model"},
)
KEYS = (
    "version",
    "models",
    "name",
    "model",
    "digest",
    "size",
    "modified_at",
    "details",
    "runner",
    "modelfile",
    "model_info",
    "tensors",
    "shape",
    "response",
    "logprobs",
    "logprob",
    "status",
    "completed",
    "total",
    "error",
)


ANSWER = [b""]
"""What the daemon answers now."""


def answering(_request: httpx.Request) -> httpx.Response:
    """Answer every request the same; the first byte makes some of the answers errors."""
    status = 400 if ANSWER[0][:1] in b"abcdefgh" else 200
    return httpx.Response(status, stream=httpx.ByteStream(ANSWER[0]))


@cache
def fuzzed_daemon() -> Daemon:
    """Return a daemon that answers without a network."""
    made = Daemon("http://127.0.0.1:9")
    for client in (made._http, made._client._client):
        client._transport = httpx.MockTransport(answering)
        client._mounts = {}
    return made


def read_answers(content: bytes, _place: Path) -> None:
    """Ask a daemon everything that is asked of one."""
    daemon, ANSWER[0] = fuzzed_daemon(), content
    questions = (
        daemon.version,
        daemon.models,
        daemon.loaded,
        lambda: daemon.show("x"),
        lambda: daemon.answer("x", "", 1),
        lambda: daemon.create("x", {"from": "y", "renderer": "z"}, lambda *_: None),
        lambda: daemon.pull("x", lambda *_: None),
        lambda: daemon.unload("x"),
    )
    for question in questions:
        with contextlib.suppress(DestinationError):
            question()


def read_manifests(content: bytes, place: Path) -> None:
    """Read a manifest, and the children of a list."""
    for child in gguf_children(content, where=place) or ():
        if child.content:
            parse_manifest(child.content, where=place)
    parse_manifest(content, where=place)


def read_registry(content: bytes, place: Path) -> None:
    """Read the manifest that a registry on the web answers with."""
    answer = SimpleNamespace(status_code=200, is_error=False, iter_bytes=lambda: iter([content]))
    real = fetch._answer
    fetch._answer = lambda *_: contextlib.nullcontext(answer)
    try:
        document = fetch.read_document(f"http://{place.name}/x", {}, where=str(place))
    finally:
        fetch._answer = real
    assert document is not None
    online._weights(document, parse_name("me/mine"))


def read_release_manifest(content: bytes, place: Path) -> None:
    """Read what a registry has under the tag of a release, as each of the things that it may be."""
    subject_of(content), annotations_of(content), type_of_manifest(content), parse_index(content)
    parse_artifact(content, place)


class Page(html.parser.HTMLParser):
    """Looks for elements and attributes that make a browser do something."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Require a tag without effect."""
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form")
        assert not any(name.startswith("on") for name, _ in attrs)


def read_report(content: bytes, place: Path) -> None:
    """Show a run whose log, settings and names are hostile."""
    run = place / "run"
    run.mkdir(exist_ok=True)
    (run / "trainer_state.json").write_bytes(content)
    (run / "adapter_config.json").write_bytes(content)
    name = content[:40].decode("utf-8", "replace").replace("/", "_").replace("\0", "_")
    (run / f"x{name}<script>.txt").write_bytes(content)
    Page().feed(render_report(report_on_run(Request(directory=run))))
    for path in run.iterdir():
        path.unlink()


RUN = GOLDENS / "run" / "babbage-lora"

WIRE_TARGETS = (
    Target(
        "manifests",
        read_manifests,
        as_seeds(MANIFEST, CHILDREN),
        ("config", "layers", "manifests", "mediaType", "digest", "size", "from", "runner"),
        is_json=True,
    ),
    Target(
        "registry manifests",
        read_registry,
        as_seeds(MANIFEST),
        ("config", "layers", "mediaType", "digest", "size"),
        is_json=True,
    ),
    Target(
        "release manifests",
        read_release_manifest,
        as_seeds(json.loads(RELEASE), {"mediaType": ARTIFACT_INDEX, "manifests": [LAYER]}),
        (
            "artifactType",
            "annotations",
            "subject",
            "layers",
            "manifests",
            "mediaType",
            "digest",
            "size",
            TITLE,
        ),
        is_json=True,
    ),
    Target("daemon answers", read_answers, as_seeds(*ANSWERS), KEYS, is_json=True, share=0.05),
    Target(
        "HTML report", read_report, files(RUN / "trainer_state.json", RUN / "adapter_config.json"), share=0.01
    ),
)
