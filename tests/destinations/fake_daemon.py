"""A stand-in for an Ollama daemon on loopback, with a store on disk and the manners of the real one.

It speaks version, tags, show, blobs, create, pull, push, copy, generate and delete; with registries it
speaks as the real one does (`fake_registry_client`). Its moods are what has been seen: ``refuses`` adapters
(0.34.1 and later), ``fails`` in the last line of a stream of status 200, ``breaks`` off in the middle of
one, and is ``far`` from any registry on loopback, as in a container.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fake_registry_client import RegistryError, pull_from, push_to
from scratch_store import add_blob

IMAGE = "application/vnd.ollama.image."
REFUSAL = "LoRA adapters are no longer supported"


@dataclass
class FakeDaemon:
    """What a test may look at and change while the daemon runs."""

    store: Path
    version: str = "0.33.0"
    mood: str = "friendly"
    pullable: dict[str, Path] = field(default_factory=dict)  # tag → a manifest to copy
    requests: list[tuple[str, str, dict]] = field(default_factory=list)
    address: str = ""

    def asked(self, method: str, path: str) -> list[dict]:
        """Return the bodies of the requests of one kind."""
        return [body for m, p, body in self.requests if m == method and p.startswith(path)]

    def manifest(self, name: str) -> Path:
        """Return where the manifest of a name lies, in the spelling that is there already."""
        plain, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
        parts = plain.split("/")
        missing = ["registry.ollama.ai", "library"][: 3 - len(parts)]
        path = self.store.joinpath("manifests", *missing, *parts, tag or "latest")
        alike = (p for p in self.store.glob("manifests/*/*/*/*") if str(p).lower() == str(path).lower())
        return next(alike, path)


@contextlib.contextmanager
def running(store: Path) -> Iterator[FakeDaemon]:
    """Start the stand-in on a free port."""
    state = FakeDaemon(store)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeDaemon

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._note({})
        if self.path == "/api/version":
            self._answer({"version": self.state.version})
        elif self.path == "/api/tags":
            self._answer({"models": list(self._models())})
        else:
            self._answer({"error": "page not found"}, 404)

    def do_HEAD(self) -> None:
        self._note({})
        self._answer(None, 200 if self._blob(self.path.rpartition("/")[2]).exists() else 404)

    def do_DELETE(self) -> None:
        body = self._body()
        path = self.state.manifest(body["model"])
        found = path.exists()
        path.unlink(missing_ok=True)
        self._answer({} if found else {"error": f"model '{body['model']}' not found"}, 200 if found else 404)

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            return self._take_blob()
        body = self._body()
        name = body.get("model", "")
        here = self.state.manifest(body.get("source", name)).exists()
        match self.path:
            case "/api/create":
                self._create(name, body)
            case "/api/pull" if name.startswith("127.0.0.1:"):
                self._with_registry(pull_from, name)
            case "/api/pull":
                self._pull(name)
            case "/api/push" if here:
                self._with_registry(push_to, name)
            case "/api/copy" if here:
                self._copy(body["source"], body["destination"])
            case "/api/show" if here:
                self._answer(self._shown(name))
            case "/api/generate" if self.state.mood == "cannot load" and body.get("prompt"):
                self._answer({"error": "llama-server process has terminated: exit status 1"}, 500)
            case "/api/generate" if here:
                self._answer({"model": name, "response": self._said(name, body), "done": True})
            case _:
                self._answer({"error": f"model '{name}' not found"}, 404)
        return None

    def _said(self, name: str, body: dict) -> str:
        """Answer as a model would: always the same, and otherwise with another adapter."""
        if not body.get("prompt"):
            return ""
        layers = json.loads(self.state.manifest(name).read_bytes())["layers"]
        adapters = "".join(layer["digest"] for layer in layers if layer["mediaType"] == f"{IMAGE}adapter")
        return hashlib.sha256((body["prompt"] + adapters).encode()).hexdigest()[:16]

    def _take_blob(self) -> None:
        digest = self.path.rpartition("/")[2]
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._note({"bytes": len(content)})
        found = add_blob(self.state.store, content)["digest"]
        if found != digest:
            return self._answer({"error": f'digest mismatch, expected "{digest}", got "{found}"'}, 400)
        return self._answer(None, 201)

    def _with_registry(self, act: Callable[[str, Path, Path], Iterable[dict]], name: str) -> None:
        lines = [{"status": "pulling manifest"}]
        try:
            if self.state.mood == "far":
                raise RegistryError("dial tcp 127.0.0.1: connect: connection refused")
            lines += act(name, self.state.store, self.state.manifest(name))
        except RegistryError as error:
            return self._stream([*lines, {"error": str(error)}])
        return self._stream([*lines, {"status": "success"}])

    def _copy(self, source: str, target: str) -> None:
        path = self.state.manifest(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.state.manifest(source).read_bytes())
        self._answer(None)

    def _pull(self, name: str) -> None:
        source = self.state.pullable.get(name)
        if source is None:
            return self._stream([{"status": "pulling manifest"}, {"error": "file does not exist"}])
        target = self.state.manifest(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        lines = [{"status": "pulling 0123456789ab", "digest": "sha256:01", "total": 10, "completed": 5}]
        return self._stream([{"status": "pulling manifest"}, *lines, {"status": "success"}])

    def _create(self, name: str, body: dict) -> None:
        if self.state.mood == "refuses" and body.get("adapters"):
            return self._answer({"error": REFUSAL}, 400)
        if self.state.mood == "fails":
            return self._stream([{"status": "parsing GGUF"}, {"error": "unexpected EOF"}])
        if self.state.mood == "breaks":
            return self._stream([{"status": "parsing GGUF"}, {"status": "writing manifest"}])
        manifest = self._compose(body)
        path = self.state.manifest(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))
        return self._stream([{"status": "writing manifest"}, {"status": "success"}])

    def _compose(self, body: dict) -> dict:
        """Put the layers together, after the letter of what Ollama documents and not after our own code."""
        if "from" in body:
            manifest = json.loads(self.state.manifest(body["from"]).read_bytes())
            layers = [layer | {"from": body["from"]} for layer in manifest["layers"]]
        else:
            manifest = {"schemaVersion": 2, "config": add_blob(self.state.store, b"{}")}
            layers = [self._file("model", key, digest) for key, digest in body["files"].items()]
            if self.state.mood == "guesses":
                guess = add_blob(self.state.store, b"<|im_start|>{{ .Prompt }}")
                layers.append({"mediaType": f"{IMAGE}template", **guess})
        layers += [self._file("adapter", key, digest) for key, digest in body.get("adapters", {}).items()]
        for kind in ("template", "system"):
            if text := body.get(kind):
                layers = [layer for layer in layers if layer["mediaType"] != IMAGE + kind]
                layers.append({"mediaType": IMAGE + kind, **add_blob(self.state.store, text.encode())})
        for text in body.get("license", []):
            layers.append({"mediaType": f"{IMAGE}license", **add_blob(self.state.store, text.encode())})
        layers = self._with_json(layers, "params", body.get("parameters", {}), merge=True)
        layers = self._with_json(layers, "messages", body.get("messages", []), merge=False)
        return manifest | {"layers": layers}

    def _with_json(self, layers: list[dict], kind: str, value: dict | list, *, merge: bool) -> list[dict]:
        old = [layer for layer in layers if layer["mediaType"] == IMAGE + kind]
        if merge and old:
            value = json.loads(self._blob(old[0]["digest"]).read_bytes()) | value
        if not value:
            return layers
        blob = add_blob(self.state.store, json.dumps(value, sort_keys=True).encode())
        return [layer for layer in layers if layer not in old] + [{"mediaType": IMAGE + kind, **blob}]

    def _file(self, kind: str, key: str, digest: str) -> dict:
        size = self._blob(digest).stat().st_size
        return {"mediaType": IMAGE + kind, "digest": digest, "size": size, "from": key}

    def _models(self) -> Iterator[dict]:
        for path in (self.state.store / "manifests").glob("*/*/*/*"):
            host, namespace, model, tag = path.parts[-4:]
            prefix = "" if namespace == "library" else f"{namespace}/"
            prefix = prefix if host == "registry.ollama.ai" else f"{host}/{namespace}/"
            name = f"{prefix}{model}:{tag}"
            yield {"name": name, "model": name, "digest": hashlib.sha256(path.read_bytes()).hexdigest()}

    def _shown(self, name: str) -> dict:
        manifest = json.loads(self.state.manifest(name).read_bytes())
        words = {f"{IMAGE}model": "FROM", f"{IMAGE}adapter": "ADAPTER"}
        lines = [
            f"{words[layer['mediaType']]} {self._blob(layer['digest'])}"
            for layer in manifest["layers"]
            if layer["mediaType"] in words
        ]
        kinds = {layer["mediaType"]: layer["digest"] for layer in manifest["layers"]}
        template = kinds.get(f"{IMAGE}template")
        lines.append(f"TEMPLATE {self._blob(template).read_text() if template else '{{ .Prompt }}'}")
        config = json.loads(self._blob(manifest["config"]["digest"]).read_bytes())
        details = {"format": config.get("model_format", "gguf")}
        return {"modelfile": "\n".join(lines), "model_info": {}, "details": details}

    def _blob(self, digest: str) -> Path:
        return self.state.store / "blobs" / digest.replace(":", "-")

    def _body(self) -> dict:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        return body

    def _note(self, body: dict) -> None:
        self.state.requests.append((self.command, self.path, body))

    def _answer(self, body: dict | None, status: int = 200) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, lines: list[dict]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for line in lines:
            self.wfile.write(json.dumps(line).encode() + b"\n")
