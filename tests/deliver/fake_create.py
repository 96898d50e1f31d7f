"""How the stand-in makes a model: after the letter of what Ollama documents, and not after our own code."""

import json

from fake_store import FakeStore
from scratch_store import add_blob

IMAGE = "application/vnd.ollama.image."
TEXTS = ("template", "system")


def compose(store: FakeStore, body: dict, *, guesses: bool) -> dict:
    """Return the manifest that a request to create asks for; `guesses` a template for a file."""
    if "from" in body:
        manifest = store.document(body["from"])
        layers = [layer | {"from": body["from"]} for layer in manifest["layers"]]
    else:
        kind = "application/vnd.docker.container.image.v1+json"
        config = add_blob(store.root, b'{"model_format":"gguf"}')
        manifest = {"schemaVersion": 2, "config": {"mediaType": kind, **config}}
        layers = [_file(store, "model", key, digest) for key, digest in body["files"].items()]
        if guesses:
            guess = add_blob(store.root, b"<|im_start|>{{ .Prompt }}")
            layers.append({"mediaType": f"{IMAGE}template", **guess})
    layers += [_file(store, "adapter", key, digest) for key, digest in body.get("adapters", {}).items()]
    for kind in TEXTS:
        if text := body.get(kind):
            layers = [layer for layer in layers if layer["mediaType"] != IMAGE + kind]
            layers.append({"mediaType": IMAGE + kind, **add_blob(store.root, text.encode())})
    for text in body.get("license", []):
        layers.append({"mediaType": f"{IMAGE}license", **add_blob(store.root, text.encode())})
    layers = _with_json(store, layers, "params", body.get("parameters", {}), merge=True)
    layers = _with_json(store, layers, "messages", body.get("messages", []), merge=False)
    return manifest | {"layers": layers}


def _with_json(
    store: FakeStore, layers: list[dict], kind: str, value: dict | list, *, merge: bool
) -> list[dict]:
    old = [layer for layer in layers if layer["mediaType"] == IMAGE + kind]
    if merge and old:
        value = json.loads(store.blob(old[0]["digest"]).read_bytes()) | value
    if not value:
        return layers
    blob = add_blob(store.root, json.dumps(value, sort_keys=True).encode())
    return [layer for layer in layers if layer not in old] + [{"mediaType": IMAGE + kind, **blob}]


def _file(store: FakeStore, kind: str, key: str, digest: str) -> dict:
    size = store.blob(digest).stat().st_size
    return {"mediaType": IMAGE + kind, "digest": digest, "size": size, "from": key}
