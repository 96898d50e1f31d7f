"""The OCI manifest of a release: its files as layers, each with its name, and the base that it stands on.

A registry keeps it like the manifest of an image. Its annotations have OCI's own
names, and its layers have the names of files, so that other clients of registries show and fetch them too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_pack.errors import InputError
from ollama_pack.ollama.manifest import Layer, is_digest
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.untrusted import as_list, as_mapping, as_text, as_whole, parse_object

ARTIFACT_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.ollama-pack.release.v1"
_NO_CONFIG = b"{}"
EMPTY_LAYER = Layer(
    "application/vnd.oci.empty.v1+json", digest_of_bytes(_NO_CONFIG), len(_NO_CONFIG), content=_NO_CONFIG
)
"""The configuration of a manifest that has none."""

TITLE = "org.opencontainers.image.title"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

_TYPES = {
    ".gguf": "application/vnd.ollama-pack.gguf",
    ".json": "application/json",
    ".lock": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
}


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file of a release, as its manifest names it.

    Attributes:
        name: the name of the file, without a directory.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: the size in bytes.
    """

    name: str
    digest: str
    size: int


def make_artifact(files: Iterable[ArtifactFile], annotations: Mapping[str, str]) -> bytes:
    """Return the manifest of a release; the same files and annotations give the same bytes.

    Args:
        files: the files.
        annotations: what is said of all of them; what is empty is left out.

    Example:
        >>> file = ArtifactFile("Modelfile.txt", "sha256:" + "0" * 64, 7)
        >>> made = make_artifact([file], {BASE_NAME: "vicuna:7b"})
        >>> [file.name for file in parse_artifact(made, "example")]
        ['Modelfile.txt']
    """
    layers = [
        {**_descriptor(_media_type_of(each.name), each.digest, each.size), "annotations": {TITLE: each.name}}
        for each in sorted(files, key=lambda each: each.name)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": ARTIFACT_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": _descriptor(EMPTY_LAYER.media_type, EMPTY_LAYER.digest, EMPTY_LAYER.size),
        "layers": layers,
        "annotations": {key: value for key, value in sorted(annotations.items()) if value},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def parse_artifact(content: bytes, where: object) -> tuple[ArtifactFile, ...]:
    """Return the files that the manifest of a release names.

    Args:
        content: the bytes of the manifest.
        where: its place, for the error message.

    Raises:
        InputError: it is the manifest of something else, or is damaged.
    """
    try:
        document = parse_object(content)
        if document.get("artifactType") != ARTIFACT_TYPE:
            raise InputError(
                "This is not a release that ollama-pack pushed.",
                where=where,
                hint="ollama-pack push DIR oci://HOST/NAMESPACE/NAME:TAG  makes one",
                code="not-a-release",
            )
        files = tuple(map(_parse_file, as_list(document.get("layers"), "layers")))
        if len({each.name for each in files}) != len(files):
            raise ValueError("two layers have one name")
    except ValueError as error:
        raise InputError("The manifest is damaged.", where=where) from error
    return files


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """Return how a manifest names a blob or another manifest."""
    return {"mediaType": media_type, "digest": digest, "size": size}


def _media_type_of(name: str) -> str:
    """Return the media type of a file."""
    return _TYPES.get(name[name.rfind(".") :], "text/plain")


def _parse_file(value: object) -> ArtifactFile:
    """Return the file that a layer is; raise ValueError if it has no digest or no plain name."""
    fields = as_mapping(value, "layers")
    digest = as_text(fields.get("digest"), "digest")
    name = as_text(as_mapping(fields.get("annotations"), "annotations").get(TITLE), TITLE)
    if not is_digest(digest) or digest[6] != ":":
        raise ValueError(digest)
    return ArtifactFile(name, digest, as_whole(fields.get("size"), "size"))
