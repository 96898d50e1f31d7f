"""Reads lists of manifests: from Ollama 0.40 on, a model may have one manifest for each engine.

The format is that of Ollama's ``manifest/manifest.go``. A child of the list is a manifest itself, or names
the blob that is one. Only a child for llama.cpp can have an adapter. A child for ``ggml`` is in the form of
Ollama up to 0.34: Ollama 0.40 converts it when it is loaded, and refuses to do so once it has an adapter. See
"Of a list of manifests, the one for llama.cpp is the base" in docs/decisions.md.
"""

import hashlib
import re
from typing import NamedTuple

from ollama_pack.errors import DestinationError, InputError
from ollama_pack.formats.go_json import encode_go_json
from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, optional, parse_object
from ollama_pack.ollama.manifest import MANIFEST_TYPE, not_a_manifest

LIST_TYPES = (
    "application/vnd.ollama.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

GGUF_RUNNERS = ("llamacpp", "ggml", "ollama")
"""Engines that run GGUF files, the one that runs adapters first; ``ollama`` is an old name of ``ggml``."""

_CHILD_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ChildManifest(NamedTuple):
    """One manifest of a list.

    Attributes:
        runner: the engine that it is for, in lower case; empty if the list does not say.
        digest: the digest of the manifest, ``sha256:…``.
        content: the bytes of the manifest, or None if the list only names its blob.
    """

    runner: str
    digest: str
    content: bytes | None = None


def read_children(content: bytes, *, where: object) -> tuple[ChildManifest, ...] | None:
    """Return the manifests of a list, or None if the content is the manifest of one model, or no JSON at all.

    Args:
        content: the bytes of the list.
        where: the place of the list, for the error message.

    Raises:
        DestinationError: the list is damaged.
    """
    try:
        document = parse_object(content)
    except ValueError:
        return None  # `parse_manifest` reports what is wrong with it.
    if document.get("mediaType") not in LIST_TYPES:
        return None
    try:
        children = (as_mapping(each, "manifests") for each in as_list(document.get("manifests"), "manifests"))
        return tuple(_read_child(each) for each in children if _is_one_model(each))
    except (ValueError, InputError) as error:  # Python reads NaN and Infinity, which Go's JSON cannot hold
        raise not_a_manifest(where) from error


def gguf_children(content: bytes, *, where: object) -> list[ChildManifest] | None:
    """Return the manifests of a list that are for GGUF, the best first, or None if the content is no list.

    Args:
        content: the bytes of the list.
        where: the place of the list, for the error message.

    Raises:
        DestinationError: the list is damaged, or has no manifest for GGUF.
    """
    children = read_children(content, where=where)
    if children is None:
        return None
    suitable = [child for child in children if child.runner in GGUF_RUNNERS]
    if not suitable:
        raise DestinationError(
            "The base has no variant in the GGUF format, and only that can have an adapter.",
            where=where,
            hint="--base with a GGUF file, or another tag of the model",
            code="base-takes-no-adapter",
        )
    return sorted(suitable, key=lambda child: runner_rank(child.runner))


def runner_rank(runner: str) -> int:
    """Return the place of an engine among those that run GGUF files; every other one comes last."""
    return GGUF_RUNNERS.index(runner) if runner in GGUF_RUNNERS else len(GGUF_RUNNERS)


def _is_one_model(entry: dict[str, object]) -> bool:
    """Return whether an entry of a list is the manifest of one model; Ollama ignores all others."""
    return entry.get("mediaType", "") in ("", MANIFEST_TYPE)


def _read_child(entry: dict[str, object]) -> ChildManifest:
    """Return a child; if the list contains it whole, its digest is that of its JSON as Go writes it.

    Raises:
        ValueError: the digest is not a SHA-256.
    """
    runner = optional(entry, "runner", "").strip().lower()
    if "layers" in entry or "config" in entry:
        content = encode_go_json(entry).removesuffix(b"\n")
        return ChildManifest(runner, f"sha256:{hashlib.sha256(content).hexdigest()}", content)
    digest = as_text(entry.get("digest"), "digest").lower().replace("-", ":", 1)
    if not _CHILD_DIGEST.fullmatch(digest):
        raise ValueError(digest)
    return ChildManifest(runner, digest)
