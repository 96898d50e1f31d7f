"""An Ollama store made by hand: what a `pull` of the tiny base would have left."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiny_model import details_of

TEMPLATE = "{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }} {{ .Response }}"
BASE_TAG = "tiny-base"


def add_blob(store: Path, content: bytes) -> dict[str, object]:
    """Write a blob, and return digest and size as a manifest spells them."""
    digest = hashlib.sha256(content).hexdigest()
    path = store / "blobs" / f"sha256-{digest}"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"draft-{secrets.token_hex(8)}")
    draft.write_bytes(content)
    draft.replace(path)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def add_base(
    store: Path,
    gguf_file: Path,
    *,
    tag: str = BASE_TAG,
    engine: str = "gguf",
    template: str = TEMPLATE,
    remote: str = "",
    messages: Sequence[Mapping[str, str]] = (),
) -> Path:
    """Put a base with parameters, and a template unless it is empty, into `store`.

    `engine` is its format; `remote` the host where it runs instead; `messages` its MESSAGEs.
    """
    params = json.dumps({"stop": ["<|end|>"], "temperature": 0.25, "top_k": 7}).encode()
    layers = {"model": gguf_file.read_bytes(), "template": template.encode(), "license": b"Free as in air."}
    layers |= {"params": params, "messages": json.dumps(messages).encode() if messages else b""}
    config = {
        "model_format": engine,
        "model_family": "llama",
        "model_families": ["llama"],
        **details_of(gguf_file),
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []},
        **({"remote_host": remote, "remote_model": tag} if remote else {}),
    }
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            **add_blob(store, json.dumps(config).encode()),
        },
        "layers": [
            {"mediaType": f"application/vnd.ollama.image.{kind}", **add_blob(store, content)}
            for kind, content in layers.items()
            if content
        ],
    }
    path = store / "manifests" / "registry.ollama.ai" / "library" / tag / "latest"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def newer_entry(store: Path, parts: tuple[str, ...]) -> Path:
    """Return where a model's entry lies in the layout of Ollama 0.40."""
    host, *rest = parts
    public = "ollama.com" if host == "registry.ollama.ai" else host.replace(":", "%3A")
    return store.joinpath("manifests-v2", public, *rest)


def upgrade(store: Path) -> None:
    """Give a store the layout of Ollama 0.40: every manifest a blob, every entry a link to it."""
    for path in sorted((store / "manifests").glob("*/*/*/*")):
        entry = newer_entry(store, path.parts[-4:])
        entry.parent.mkdir(parents=True, exist_ok=True)
        digest = str(add_blob(store, path.read_bytes())["digest"]).replace(":", "-")
        entry.unlink(missing_ok=True)
        entry.symlink_to(Path("../../../..") / "blobs" / digest)


def manifest_of(store: Path, name: str, tag: str = "latest", namespace: str = "library") -> dict[str, object]:
    """Return the manifest of a model, parsed."""
    path = store / "manifests" / "registry.ollama.ai" / namespace / name / tag
    return json.loads(path.read_bytes())


def blob(store: Path, digest: str) -> bytes:
    """Return a blob's bytes."""
    return (store / "blobs" / digest.replace(":", "-")).read_bytes()


def kinds_of(manifest: dict) -> list[str]:
    """Return the ends of the layers' types, in order."""
    return [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]]


def snapshot(store: Path) -> dict[str, bytes]:
    """Return every file below `store`."""
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}
