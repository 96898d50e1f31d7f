"""What must hold of a store after anything at all went wrong."""

import hashlib
import json
from pathlib import Path

LOOPBACK = "127.0.0.1:"


def entries(store: Path, *, torn: bool = False) -> dict[tuple[str, ...], bytes]:
    """Return host, namespace, model and tag → manifest, as a daemon reads them; the newer layout wins.

    A daemon writes a manifest in place: one that is killed at that moment leaves it empty, and passes over
    it when it starts anew. With `torn` that is allowed.
    """
    found = {}
    for folder in ("manifests", "manifests-v2"):
        for path in sorted(store.joinpath(folder).glob("*/*/*/*")):
            host, *rest = path.parts[-4:]
            if folder == "manifests-v2":
                host = "registry.ollama.ai" if host == "ollama.com" else host.replace("%3A", ":")
                assert path.exists(), f"{path} leads nowhere"
            content = path.read_bytes()
            if content or not torn:
                found[(host, *rest)] = content
    return found


def models(store: Path, *, torn: bool = False) -> dict[str, str]:
    """Return name → digest of every model, and require that each is whole."""
    digests = {}
    for (host, namespace, model, tag), manifest in entries(store, torn=torn).items():
        document = json.loads(manifest)
        for layer in (*document["layers"], document["config"]):
            blob = store / "blobs" / layer["digest"].replace(":", "-")
            assert blob.is_file(), f"{model}:{tag} lacks {layer['mediaType']}"
            content = blob.read_bytes()
            assert len(content) == layer["size"]
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == layer["digest"], f"{blob} is damaged"
        prefix = "" if host == "registry.ollama.ai" else f"{host}/{namespace}/"
        digests[f"{prefix}{model}:{tag}"] = hashlib.sha256(manifest).hexdigest()
    return digests


def lasting(store: Path, *, torn: bool = False) -> dict[str, str]:
    """Return the models without those a registry of ours lent a name to."""
    return {
        name: digest for name, digest in models(store, torn=torn).items() if not name.startswith(LOOPBACK)
    }


def require_sound(store: Path, before: dict[str, str], name: str, new: str, *, torn: bool = False) -> None:
    """Require that all models are whole, all others as before, and the one named the old or the new one.

    Args:
        store: after the fault.
        before: its models before.
        name: of the model that was put, with its tag.
        new: the digest it has when all goes well.
        torn: whether a daemon may have been killed while it wrote a manifest.
    """
    after = lasting(store, torn=torn)
    for other, digest in before.items():
        if other != name:
            assert after.get(other) == digest, f"{other} is not what it was"
    assert after.get(name) in (before.get(name), new) or (torn and name not in after)
    assert name not in before or before[name] in after.values(), f"the earlier {name} is lost"
    versions = {other for other in after if other.startswith(f"{name}-")}
    assert after.keys() - before.keys() - versions <= {name}
    assert all(after[version] in (before.get(name), new) for version in versions)
