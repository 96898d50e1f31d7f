"""A stand-in for an Ollama daemon on loopback, with a store on disk and the manners of the real one.

It speaks version, tags, show, blobs, create, pull, push, copy, generate and delete; with registries it
speaks as the real one does (`fake_registry_client`). It has the character of one generation of Ollama
(`characters`), and a mood that has been seen in some: it ``fails`` in the last line of a stream of status
200, ``breaks`` off in the middle of one, tells it ``slow``-ly in pieces of a few bytes, ``guesses`` a
template, ``cannot load`` or ``cannot list`` anything, or is ``far`` from any registry on loopback, as in a
container. It dies where it is told to: at a step of its work, a request or a blob, without another word.
"""

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import gguf
from characters import CHARACTERS, Character, DiedError
from fake_create import IMAGE, compose
from fake_registry_client import RegistryError, pull_from, push_to
from fake_show import show
from fake_store import FakeStore, rows_of
from loopback_server import QuietHandler, listening
from scratch_store import add_blob, upgrade

REFUSAL = "LoRA adapters are no longer supported"


@dataclass
class FakeDaemon:
    """What a test may look at and change while the daemon runs."""

    store: Path
    character: Character = CHARACTERS["0.33"]
    mood: str = "friendly"
    pullable: dict[str, Path] = field(default_factory=dict)  # tag → a manifest to copy
    requests: list[tuple[str, str, dict]] = field(default_factory=list)
    address: str = ""
    steps: int = 0
    dies_at: int = 0  # the step; 0: never
    children_are: str = "blobs"
    loaded: list[str] = field(default_factory=list)
    says: str = "llama-server process has terminated: exit status 1"

    @property
    def models(self) -> FakeStore:
        """Return what it has."""
        return FakeStore(self.store, self.character.newer, self.children_are)

    def becomes(self, version: str, *, creates: bool = True) -> None:
        """Let it be of another version."""
        self.character = replace(self.character, version=version, creates=creates)

    def asked(self, method: str, path: str) -> list[dict]:
        """Return the bodies of the requests of one kind."""
        return [body for m, p, body in self.requests if m == method and p.startswith(path)]

    def manifest(self, name: str) -> Path:
        """Return where the manifest of a name lies, in the spelling that is there already."""
        return self.models.path(name)

    def step(self) -> None:
        """Go one step on, or die."""
        self.steps += 1
        if self.dies_at and self.steps >= self.dies_at:
            raise DiedError


@contextlib.contextmanager
def running(store: Path, character: str = "0.33") -> Iterator[FakeDaemon]:
    """Start the stand-in on a free port."""
    state = FakeDaemon(store, CHARACTERS[character])
    if state.character.newer:
        upgrade(store)
    with listening(_Handler, state=state) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        yield state


class _Handler(QuietHandler):
    state: FakeDaemon
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except DiedError:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        self._note({})
        if self.path == "/api/version":
            self._answer({"version": self.state.character.version})
        elif self.path == "/api/tags" and self.state.mood == "cannot list":
            self._answer({"error": "lstat /models: permission denied"}, 500)
        elif self.path == "/api/ps":
            self._answer({"models": [{"model": name} for name in self.state.loaded]})
        elif self.path == "/api/tags":
            self._answer({"models": list(self._models())})
        else:
            self._answer({"error": "page not found"}, 404)

    def do_HEAD(self) -> None:
        self._note({})
        self._answer(None, 200 if self._blob(self.path.rpartition("/")[2]).exists() else 404)

    def do_DELETE(self) -> None:
        body = self._body()
        if self.state.models.has(body["model"]) and not self.state.models.read(body["model"]):
            return self._answer({"error": "EOF"}, 500)
        found = self.state.models.erase(body["model"])
        return self._answer({}) if found else self._answer({"error": "model not found"}, 404)

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            return self._take_blob()
        body = self._body()
        name = body.get("model", "")
        here = self.state.models.has(body.get("source", name))
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
            case "/api/show" if here and not self.state.models.read(name):
                self._answer({"error": "EOF"}, 400)
            case "/api/show" if here:
                self._answer(self._shown(name, verbose=bool(body.get("verbose"))))
            case "/api/generate" if here and body.get("keep_alive") != 0 and (why := self._why_not(name)):
                self._answer({"error": why}, 500)
            case "/api/generate" | "/api/chat" if here:  # too old to tell what it renders
                self._answer({"model": name, "response": self._said(name, body), "done": True})
            case _:
                self._answer({"error": f"model '{name}' not found"}, 404)
        return None

    def _why_not(self, name: str) -> str:
        """Return why a model does not load, empty where it does."""
        if self.state.mood == "cannot load":
            return self.state.says
        layers = {layer["mediaType"]: layer["digest"] for layer in self.state.models.document(name)["layers"]}
        if f"{IMAGE}adapter" not in layers:
            return ""
        header = gguf.GGUFReader(self.state.models.blob(layers[f"{IMAGE}model"]))
        arch = header.fields["general.architecture"].contents()
        character = self.state.character
        return character.cannot_load if arch in character.architectures else ""

    def _said(self, name: str, body: dict) -> str:
        """Answer as a model would: always the same, and otherwise with other weights or another adapter."""
        if not body.get("prompt"):
            return ""
        layers = self.state.models.document(name)["layers"]
        kinds = (f"{IMAGE}model", f"{IMAGE}adapter")
        weights = "".join(layer["digest"] for layer in layers if layer["mediaType"] in kinds)
        return hashlib.sha256((body["prompt"] + weights).encode()).hexdigest()[:16]

    def _take_blob(self) -> None:
        digest = self.path.rpartition("/")[2]
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._note({"bytes": len(content)})
        found = add_blob(self.state.store, content)["digest"]
        if found != digest:
            return self._answer({"error": f'digest mismatch, expected "{digest}", got "{found}"'}, 400)
        return self._answer(None, 201)

    def _with_registry(
        self, act: Callable[[str, FakeStore, Callable[[], None]], Iterable[dict]], name: str
    ) -> None:
        lines = [{"status": "pulling manifest"}]
        try:
            if self.state.mood == "far":
                raise RegistryError("dial tcp 127.0.0.1: connect: connection refused")
            lines += act(name, self.state.models, self.state.step)
        except RegistryError as error:
            return self._stream([*lines, {"error": str(error)}])
        endings = {"fails": [{"error": "unexpected EOF"}], "breaks": []}
        return self._stream([*lines, *endings.get(self.state.mood, [{"status": "success"}])])

    def _copy(self, source: str, target: str) -> None:
        self.state.models.write(target, self.state.models.read(source))
        self._answer(None)

    def _pull(self, name: str) -> None:
        source = self.state.pullable.get(name)
        if source is None:
            return self._stream([{"status": "pulling manifest"}, {"error": "file does not exist"}])
        self.state.models.write(name, source.read_bytes())
        lines = [{"status": "pulling 0123456789ab", "digest": "sha256:01", "total": 10, "completed": 5}]
        return self._stream([{"status": "pulling manifest"}, *lines, {"status": "success"}])

    def _create(self, name: str, body: dict) -> None:
        if body.get("adapters") and not self.state.character.creates:
            return self._answer({"error": REFUSAL}, 400)
        if self.state.mood == "fails":
            return self._stream([{"status": "parsing GGUF"}, {"error": "unexpected EOF"}])
        if self.state.mood == "breaks":
            return self._stream([{"status": "parsing GGUF"}, {"status": "writing manifest"}])
        self.state.models.write(
            name, json.dumps(compose(self.state.models, body, guesses=self.state.mood == "guesses")).encode()
        )
        return self._stream([{"status": "writing manifest"}, {"status": "success"}])

    def _models(self) -> Iterator[dict]:
        for parts in self.state.models.names():
            host, namespace, model, tag = parts
            path = self.state.manifest("/".join(parts[:3]) + f":{tag}")
            prefix = "" if namespace == "library" else f"{namespace}/"
            prefix = prefix if host == "registry.ollama.ai" else f"{host}/{namespace}/"
            name = f"{prefix}{model}:{tag}"
            try:
                content, changed = path.read_bytes(), path.lstat().st_mtime
            except FileNotFoundError:  # another request removed it
                continue
            changed = datetime.fromtimestamp(changed, timezone.utc).isoformat()
            for row in rows_of(content):
                yield row | {"name": name, "model": name, "modified_at": changed}

    def _shown(self, name: str, *, verbose: bool) -> dict:
        return show(self.state.models, name, verbose=verbose)

    def _blob(self, digest: str) -> Path:
        return self.state.models.blob(digest)

    def _body(self) -> dict:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        return body

    def _note(self, body: dict) -> None:
        self.state.step()
        self.state.requests.append((self.command, self.path, body))

    def _answer(self, body: dict | None, status: int = 200) -> None:
        self.state.step()
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
            self.state.step()
            text = json.dumps(line).encode() + b"\n"
            if self.state.mood != "slow":
                self.wfile.write(text)
                continue
            for start in range(0, len(text), 7):
                self.wfile.write(text[start : start + 7])
                self.wfile.flush()
                time.sleep(0.002)
