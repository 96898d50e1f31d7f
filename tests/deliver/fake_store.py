"""The stand-in's store, in the layout of its character: names, manifests and blobs."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scratch_store import add_blob, newer_entry


def whole(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file that is there whole or not at all."""
    draft = path.parent.parent / f".draft-{secrets.token_hex(8)}"
    make(draft)
    draft.replace(path)


def compact(document: dict) -> bytes:
    """Return a document as Go writes it."""
    return json.dumps(document, separators=(",", ":")).encode()


def rows_of(content: bytes) -> Iterator[dict]:
    """Yield how ``/api/tags`` lists a manifest: Ollama 0.40 lists each child of a list."""
    children = json.loads(content or b"{}").get("manifests", ())
    for child in children:
        digest = child.get("digest", f"sha256:{hashlib.sha256(compact(child)).hexdigest()}")
        yield {"digest": digest.removeprefix("sha256:"), "details": {"runner": child["runner"]}}
    if content and not children:
        document = json.loads(content)
        blobs = [*document.get("layers", ()), document.get("config", {})]
        size = sum(each.get("size", 0) for each in blobs)
        yield {"digest": hashlib.sha256(content).hexdigest(), "size": size}


@dataclass
class FakeStore:
    """A store as the daemon itself reads and writes it."""

    root: Path
    newer: bool = False
    children_are: str = "blobs"  # or "manifests": what the children of a list are pushed as

    def parts(self, name: str) -> tuple[str, ...]:
        """Return host, namespace, model and tag, in the spelling that is there already."""
        plain, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
        parts = plain.split("/")
        wanted = (*["registry.ollama.ai", "library"][: 3 - len(parts)], *parts, tag or "latest")
        alike = (there for there in self.names() if [p.lower() for p in there] == [p.lower() for p in wanted])
        return next(alike, wanted)

    def names(self) -> Iterator[tuple[str, ...]]:
        """Yield every model once; a newer entry hides an older one."""
        seen = set()
        for folder in ("manifests-v2", "manifests"):
            for path in sorted(self.root.joinpath(folder).glob("*/*/*/*")):
                host, *rest = path.parts[-4:]
                if folder == "manifests-v2":
                    host = "registry.ollama.ai" if host == "ollama.com" else host.replace("%3A", ":")
                if (parts := (host, *rest)) not in seen:
                    seen.add(parts)
                    yield parts

    def path(self, name: str) -> Path:
        """Return the file that counts."""
        parts = self.parts(name)
        entry = newer_entry(self.root, parts)
        return entry if entry.exists() else self.root.joinpath("manifests", *parts)

    def read(self, name: str) -> bytes:
        """Return a manifest; in the newer layout its entry must lead to the blob that is named after it."""
        path = self.path(name)
        target = path.resolve()  # once: another request may point the entry elsewhere
        content = target.read_bytes()
        if target.parent == (self.root / "blobs").resolve():
            assert target.name == f"sha256-{hashlib.sha256(content).hexdigest()}"
        else:
            assert not path.is_symlink()
        return content

    def document(self, name: str) -> dict:
        """Return a manifest, parsed; of a list the child that Ollama 0.40 prefers on Linux."""
        document = json.loads(self.read(name))
        children = {child["runner"]: child for child in document.get("manifests", ())}
        if not children:
            return document
        child = next(children[runner] for runner in ("llamacpp", "ggml", "mlx") if runner in children)
        return child if "layers" in child else json.loads(self.blob(child["digest"]).read_bytes())

    def write(self, name: str, content: bytes) -> None:
        """Write a manifest: the old file always, in the newer layout the blob and its entry too."""
        parts = self.parts(name)
        older = self.root.joinpath("manifests", *parts)
        older.parent.mkdir(parents=True, exist_ok=True)
        whole(older, lambda draft: draft.write_bytes(content))
        if self.newer:
            digest = str(add_blob(self.root, content)["digest"]).replace(":", "-")
            entry = newer_entry(self.root, parts)
            entry.parent.mkdir(parents=True, exist_ok=True)
            lead = os.path.relpath(self.root / "blobs" / digest, entry.parent)
            whole(entry, lambda draft: draft.symlink_to(lead))

    def erase(self, name: str) -> bool:
        """Remove a model; return whether it was there."""
        parts = self.parts(name)
        paths = [self.root.joinpath("manifests", *parts), newer_entry(self.root, parts)]
        there = [path for path in paths if path.exists()]
        for path in there:
            path.unlink()
        return bool(there)

    def has(self, name: str) -> bool:
        """Return whether there is such a model."""
        return self.path(name).exists()

    def blob(self, digest: str) -> Path:
        """Return where a blob lies."""
        return self.root / "blobs" / digest.replace(":", "-")
