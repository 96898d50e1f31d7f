"""How an Ollama daemon speaks with a registry: the stand-in's other half, after download.go and upload.go."""

import hashlib
import http.client
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from fake_store import FakeStore

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PART = 1000
"""Bytes of a part; the real one takes 100 MB, which no test can wait for."""


class RegistryError(Exception):
    """What the daemon writes into the last line of its stream."""


def ask(method: str, url: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send one request over plain HTTP; redirects are not followed."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.netloc, timeout=10)
    try:
        path = f"{target.path}?{target.query}" if target.query else target.path
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    except OSError as error:
        raise RegistryError(f"dial tcp {target.netloc}: connect: {error.strerror}") from error
    finally:
        connection.close()


def parts_of(name: str) -> tuple[str, str]:
    """Return the address of a model in its registry, and its tag."""
    host, namespace, rest = name.split("/")
    model, _, tag = rest.partition(":")
    return f"http://{host}/v2/{namespace}/{model}", tag or "latest"


def pull_from(name: str, store: FakeStore, step: Callable[[], None]) -> list[dict]:
    """Fetch a model: its manifest, and the blobs that are not there, each by its Location and in parts.

    `step` is called before each of them, and may end it all.
    """
    told = []
    base, tag = parts_of(name)
    status, _, manifest = ask("GET", f"{base}/manifests/{tag}", Accept=MANIFEST)
    if status != 200:
        raise RegistryError("pull model manifest: file does not exist")
    document = json.loads(manifest)
    (store.root / "blobs").mkdir(parents=True, exist_ok=True)
    for layer in (*document["layers"], document["config"]):
        step()
        path = store.blob(layer["digest"])
        if not path.exists():
            content = _download(f"{base}/blobs/{layer['digest']}")
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != layer["digest"]:
                raise RegistryError("digest mismatch, file must be downloaded again")
            path.write_bytes(content)
        status = f"pulling {layer['digest'][7:19]}"
        told.append({"status": status, "total": layer["size"], "completed": layer["size"]})
    step()
    store.write(name, manifest)
    return told


def _download(url: str) -> bytes:
    status, headers, _ = ask("HEAD", url)
    if status != 200:
        raise RegistryError("file does not exist")
    total = int(headers["Content-Length"])
    status, headers, _ = ask("GET", url)
    if status not in (200, 307):
        raise RegistryError(f"unexpected status code {status}")
    if "Location" not in headers:
        raise RegistryError("http: no Location header in response")
    content = b""
    while len(content) < total:
        last = min(len(content) + PART, total) - 1
        status, _, piece = ask("GET", headers["Location"], Range=f"bytes={len(content)}-{last}")
        if status != 206 or not piece:
            raise RegistryError(f"unexpected status code {status}")
        content += piece
    return content


def push_to(name: str, store: FakeStore, step: Callable[[], None]) -> list[dict]:
    """Send a model: the blobs its registry does not have, then its manifest; `step` as in `pull_from`."""
    base, tag = parts_of(name)
    manifest = store.read(name)
    children = [child for child in json.loads(manifest).get("manifests", ()) if "digest" in child]
    document = store.document(name)
    if store.children_are == "manifests":
        for child in children:
            content = store.blob(child["digest"]).read_bytes()
            ask("PUT", f"{base}/manifests/{child['digest']}", content, Content_Type=MANIFEST)
        children = []
    for layer in (*document["layers"], document["config"], *children):
        if ask("HEAD", f"{base}/blobs/{layer['digest']}")[0] == 200:
            continue
        step()
        content = store.blob(layer["digest"]).read_bytes()
        _, headers, _ = ask("POST", f"{base}/blobs/uploads/?mount={layer['digest']}")
        place = headers["Location"]
        for start in range(0, len(content), PART):
            piece = content[start : start + PART]
            span = f"{start}-{start + len(piece) - 1}"
            status, headers, _ = ask("PATCH", place, piece, Content_Range=span, X_Redirect_Uploads="1")
            if status >= 400:
                raise RegistryError(f"http status {status}")
            place = headers["Location"]
        status, _, _ = ask("PUT", f"{place}?digest={layer['digest']}&etag=x-1")
        if status >= 400:
            raise RegistryError(f"http status {status}")
    status, _, _ = ask("PUT", f"{base}/manifests/{tag}", manifest, Content_Type=MANIFEST)
    if status >= 400:
        raise RegistryError(f"http status {status}")
    return []
