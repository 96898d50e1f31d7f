"""A Hugging Face Hub on loopback that takes commits, as huggingface_hub speaks to it."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loopback_server import QuietHandler, listening

TOKEN = "hf_planted"
REPOSITORY, COMMIT = "ada/lovelace-lora", "1f" * 20


def publish(web: Any, files: dict[str, bytes], repository: str = REPOSITORY, tag: str = "v2") -> None:
    """Put a repository on a web, as huggingface_hub asks a Hub for it."""
    told = json.dumps({"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
    listed = [
        {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        for name, content in files.items()
    ]
    for revision in ("main", tag, COMMIT):
        web.files[f"/api/models/{repository}/revision/{revision}"] = told.encode()
    tree = f"/api/models/{repository}/tree/{COMMIT}?recursive=true&expand=false"
    web.files[tree] = json.dumps(listed).encode()
    for name, content in files.items():
        path = f"/{repository}/resolve/{COMMIT}/{name}"
        web.files[path] = content
        web.headers[path] = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}


@dataclass
class PlayedHub:
    """What a Hub has, and how it behaves.

    Attributes:
        address: its address.
        repository: its one repository.
        commits: the files of each commit, by its id.
        branches: branch → id of its last commit.
        token: what a request must show, if anything; a reader may not write.
        readers: tokens that may read only.
        asked: method and path of every request.
        messages: of the commits.
        cut: the request, by a part of its path, at which the line is cut.
        lies: whether it names another digest than it was sent.
        raced: whether somebody else commits before the next commit.
        large: the size from which a file is sent to the large file storage.
    """

    address: str = ""
    repository: str = "ada/lovelace-gguf"
    commits: dict[str, dict[str, bytes]] = field(
        default_factory=lambda: {"0" * 40: {".gitattributes": b"*.gguf"}}
    )
    branches: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})
    token: str = ""
    readers: tuple[str, ...] = ()
    asked: list[tuple[str, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    cut: str = ""
    lies: bool = False
    raced: bool = False
    large: int = 1000
    blobs: dict[str, bytes] = field(default_factory=dict)

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the files of a branch or a commit."""
        return self.commits[self.branches.get(revision, revision)]

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Add a commit."""
        number = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[number], self.branches[branch] = files, number
        return number


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    hub: PlayedHub

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        path = self.path.partition("?")[0]
        hub.asked.append((self.command, path))
        if hub.cut and hub.cut in path:
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shown = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if path.startswith("/blobs/"):
            hub.blobs[path.rpartition("/")[2]] = body
            self._send(200, {})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            hub.repository = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            self._send(200, {"url": f"{hub.address}/{hub.repository}"})
        elif path == "/api/validate-yaml":
            self._send(200, {"warnings": [], "errors": []})
        elif not path.startswith((f"/api/models/{hub.repository}/", f"/{hub.repository}.git/")):
            self._send(404, {}, code="RepoNotFound")
        elif hub.token and shown not in (hub.token, *hub.readers):
            self._send(404 if shown else 401, {}, code="RepoNotFound")
        elif self.command == "POST" and shown in hub.readers and "/paths-info/" not in path:
            self._send(403, {"error": "Forbidden: you must use a write token"})
        else:
            self._dispatch(path, body)

    def _dispatch(self, path: str, body: bytes) -> None:
        hub = self.hub
        kind, _, revision = path.removeprefix(f"/api/models/{hub.repository}/").partition("/")
        if "/info/lfs/objects/batch" in path:
            return self._lfs(json.loads(body))
        if revision not in hub.branches and revision not in hub.commits:
            return self._send(404, {}, code="RevisionNotFound")
        if kind == "revision":
            siblings = [{"rfilename": name} for name in hub.files(revision)]
            number = hub.branches.get(revision, revision)
            return self._send(200, {"id": hub.repository, "sha": number, "siblings": siblings})
        if kind == "preupload":
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["size"] >= hub.large else "regular",
                    "shouldIgnore": False,
                }
                for each in files
            ]
            return self._send(200, {"files": modes})
        if kind == "paths-info":
            return self._send(200, [self._entry(*each) for each in hub.files(revision).items()])
        return self._commit(revision, [json.loads(line) for line in body.splitlines()])

    def _lfs(self, asked: dict[str, Any]) -> None:
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.address}/blobs/{each['oid']}"}}}
            for each in asked["objects"]
        ]
        self._send(200, {"objects": objects, "transfer": "basic"})

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        entry = {
            "type": "file",
            "path": name,
            "size": len(content),
            "oid": "1" * 40 if self.hub.lies else git,
        }
        if len(content) >= self.hub.large:
            entry["lfs"] = {
                "oid": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 130,
            }
        return entry

    def _commit(self, branch: str, lines: list[dict[str, Any]]) -> None:
        hub = self.hub
        header = lines[0]["value"]
        if hub.raced:
            hub.commit(branch, {**hub.files(branch), "other.txt": b"x"})
        if header.get("parentCommit") not in (None, hub.branches[branch]):
            return self._send(412, {"error": "A commit has happened since. Please refresh and try again."})
        files = dict(hub.files(branch))
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.blobs[value["oid"]]
            else:
                del files[value["path"]]
        hub.messages.append(header["summary"])
        number = hub.commit(branch, files)
        url = f"{hub.address}/{hub.repository}/commit/{number}"
        return self._send(200, {"success": True, "commitOid": number, "commitUrl": url})

    def _send(self, status: int, document: Any, code: str = "") -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def playing() -> Iterator[PlayedHub]:
    """Run a Hub while the block runs."""
    hub = PlayedHub()
    with listening(_Handler, hub=hub) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        yield hub
