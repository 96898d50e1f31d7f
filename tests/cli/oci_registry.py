"""A registry in this process that speaks OCI's protocol, and misbehaves where a test asks for it."""

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from loopback_server import QuietHandler, listening

USER, PASSWORD = "ada", "correct horse"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class StandInRegistry:
    """What a registry holds, and how it behaves.

    Attributes:
        host: its host and port.
        blobs: (repository, digest) → bytes.
        manifests: (repository, tag or digest) → bytes.
        login: ``""``, ``basic`` or ``bearer``.
        tokens: the tokens that count; each answers to one login.
        realm: where the login is asked for, if not here.
        answers: (method, part of a path) → the status and the words to answer with instead.
        elsewhere: the address to which blobs are redirected, or where uploads are sent.
        asked: the method, the path and the login of every request.
        spoil: what is done to the bytes of a blob before they are sent.
        broken: digest → the number of bytes of a blob after which the connection ends.
        refuses: the media type of a manifest that it does not take.
        lists_referrers: whether it lists what belongs to a manifest itself.
        ranges: the first and the last byte of every part of a blob that was sent or fetched.
    """

    host: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    login: str = ""
    tokens: set[str] = field(default_factory=set)
    realm: str = ""
    answers: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    elsewhere: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    spoil: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    refuses: str = ""
    lists_referrers: bool = False
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def bodies(self, method: str) -> list[str]:
        """Return the paths that were asked for with a method."""
        return [path for each, path, _ in self.asked if each == method]


class Handler(QuietHandler):
    """Answers one connection."""

    registry: StandInRegistry
    protocol_version = "HTTP/1.1"

    def do(self) -> None:
        """Answer one request."""
        here, url = self.registry, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        login = self.headers.get("Authorization", "")
        here.asked.append((self.command, self.path, login))
        if url.path == "/token":
            return self.token(login)
        for (method, part), (status, words) in here.answers.items():
            if method == self.command and part in self.path:
                return self.answer(status, words.encode())
        if here.login and not self.allowed(login):
            realm = here.realm or f"http://{here.host}/token"
            asks = (
                "Basic realm=registry"
                if here.login == "basic"
                else f'Bearer realm="{realm}",service="s",scope="x"'
            )
            return self.answer(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}', {"Www-Authenticate": asks})
        return self.routed(body)

    def routed(self, body: bytes) -> None:
        """Answer a request that is allowed."""
        here, url = self.registry, urlsplit(self.path)
        if here.lists_referrers and (match := re.fullmatch(r"/v2/(.+)/referrers/(.+)", url.path)):
            return self.referrers(*match.groups())
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(uploads/)?(.*)", url.path)
        if match is None:
            return self.answer(200, b"{}")
        repository, kind, upload, name = match.groups()
        if upload is not None:
            return self.upload(repository, name, body, parse_qs(url.query))
        store = here.manifests if kind == "manifests" else here.blobs
        return self.stored(store, repository, name, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do  # noqa: N815

    def referrers(self, repository: str, subject: str) -> None:
        """List what belongs to a manifest."""
        listed = []
        for (place, name), content in self.registry.manifests.items():
            document = json.loads(content)
            of = document.get("subject", {}).get("digest")
            if (place, name[:7], of) == (repository, "sha256:", subject):
                own = {"digest": name, "size": len(content), "mediaType": document["mediaType"]}
                listed.append({**own, "artifactType": document["artifactType"]})
        kind = "application/vnd.oci.image.index.v1+json"
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": listed}
        return self.answer(200, json.dumps(index).encode())

    def token(self, login: str) -> None:
        """Give a new token for the right login."""
        if login != f"Basic {BASIC}":
            return self.answer(401, b"{}")
        token = f"token-{len(self.registry.asked)}"
        self.registry.tokens.add(token)
        return self.answer(200, json.dumps({"token": token}).encode())

    def allowed(self, login: str) -> bool:
        """Return whether a request has the login that counts."""
        kind, _, word = login.partition(" ")
        return (
            word == BASIC
            if self.registry.login == "basic"
            else kind == "Bearer" and word in self.registry.tokens
        )

    def upload(self, repository: str, name: str, body: bytes, query: dict[str, list[str]]) -> None:
        """Begin an upload, take a part of it, or end it."""
        here = self.registry
        if self.command == "POST":
            source, digest = query.get("from", [""])[0], query.get("mount", [""])[0]
            if (source, digest) in here.blobs:
                here.blobs[repository, digest] = here.blobs[source, digest]
                return self.answer(201)
            name = f"u{len(here.asked)}"
            here.uploads[name] = b""
            return self.answer(
                202, headers={"Location": f"{here.elsewhere}/v2/{repository}/blobs/uploads/{name}"}
            )
        return self.go_on(repository, name, body, query)

    def go_on(self, repository: str, name: str, body: bytes, query: dict[str, list[str]]) -> None:
        """Say how far an upload came, take a part of it, or end it."""
        here = self.registry
        known = here.uploads.get(name, b"")
        arrived = {"Location": self.path, "Range": f"0-{max(len(known) - 1, 0)}"}
        if self.command == "GET":
            return self.answer(204 if name in here.uploads else 404, headers=arrived)
        if self.command == "PATCH":
            first, last = map(int, self.headers["Content-Range"].split("-"))
            if (first, last + 1 - first) != (len(known), len(body)):
                return self.answer(416, headers=arrived)
            here.ranges.append((first, last))
            here.uploads[name] = known + body
            return self.answer(202, headers=arrived)
        here.uploads[name] = known + body
        digest, content = query["digest"][0], here.uploads.pop(name)
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            return self.answer(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
        here.blobs[repository, digest] = content
        return self.answer(201)

    def stored(self, store: dict[tuple[str, str], bytes], repository: str, name: str, body: bytes) -> None:
        """Keep a manifest, or send what is kept."""
        here = self.registry
        if self.command == "PUT" and here.refuses == self.headers["Content-Type"]:
            return self.answer(415, b'{"errors": [{"code": "MANIFEST_INVALID"}]}')
        if self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            store[repository, name] = store[repository, digest] = body
            subject = json.loads(body).get("subject") if here.lists_referrers else None
            told = {"OCI-Subject": subject["digest"]} if subject else {}
            return self.answer(201, headers={"Docker-Content-Digest": digest, **told})
        content = store.get((repository, name))
        if content is None:
            return self.answer(404, b"{}")
        if here.elsewhere and store is here.blobs and self.command == "GET":
            return self.answer(307, headers={"Location": f"{here.elsewhere}{self.path}"})
        digest = {"Docker-Content-Digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
        return self.send(name, here.spoil.get(name, content), digest)

    def send(self, name: str, content: bytes, digest: dict[str, str]) -> None:
        """Send what is kept, or the part of it that is asked for."""
        here = self.registry
        if name in here.broken:
            self.answer(200, content[: here.broken[name]], {**digest, "Content-Length": str(len(content))})
            self.close_connection = True
            return None
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            first, last = int(asked[1]), len(content) - 1
            if first > last:
                return self.answer(416)
            here.ranges.append((first, last))
            part = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            return self.answer(206, content[first:], {**digest, **part})
        return self.answer(200, content, digest)

    def answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send an answer."""
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextlib.contextmanager
def stand_in_registry(**behaviour: object) -> Iterator[StandInRegistry]:
    """Yield a registry that runs on the loopback interface while the block does."""
    here = StandInRegistry(**behaviour)
    with listening(Handler, registry=here) as server:
        here.host = f"127.0.0.1:{server.server_port}"
        yield here
