"""The OCI manifest of a release: its files as layers, each with its name, and the base that it is made for.

A registry keeps it like the manifest of an image. It is a ModelPack, its annotations have OCI's own names,
and its layers have the names of files, so that other clients of registries show and fetch them too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, as_whole, optional, parse_object
from ollama_pack.ollama.manifest import Layer, is_digest
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.registry.model_pack import FILE_PATH, MODEL_PACK, type_of_file

ARTIFACT_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_INDEX = "application/vnd.oci.image.index.v1+json"
_EARLIER_TYPE = "application/vnd.ollama-pack.release.v1"
"""The ``artifactType`` of releases that were pushed before they were ModelPacks."""

RELEASE_TYPES = (MODEL_PACK, _EARLIER_TYPE)
RECORD_TYPE = "application/vnd.ollama-pack.record.v1"
_NO_CONFIG = b"{}"
EMPTY_LAYER = Layer(
    "application/vnd.oci.empty.v1+json", digest_of_bytes(_NO_CONFIG), len(_NO_CONFIG), content=_NO_CONFIG
)
"""The configuration of a manifest that has none."""

TITLE = "org.opencontainers.image.title"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

_OWN_FILE = "ollama-pack.lock"
"""The file by which a release is known: the ModelPacks of other programs do not have it."""


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


def file_of_blob(layer: Layer) -> ArtifactFile:
    """Return a blob of a model as a file; its name is the kind of the layer, which the progress shows."""
    return ArtifactFile(layer.kind, layer.digest, layer.size)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The OCI descriptor by which a manifest or an index names another manifest.

    Attributes:
        media_type: its media type.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: the size in bytes.
        artifact_type: its ``artifactType``; empty if it has none.
    """

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""

    def fields(self) -> dict[str, Any]:
        """Return its form in JSON."""
        kind = {"artifactType": self.artifact_type} if self.artifact_type else {}
        return {**descriptor_fields(self.media_type, self.digest, self.size), **kind}


def make_artifact(
    files: Iterable[ArtifactFile],
    annotations: Mapping[str, str],
    subject: Descriptor | None = None,
    config: Layer | None = None,
) -> bytes:
    """Return the manifest of a release; the same files and annotations give the same bytes.

    Args:
        files: the files.
        annotations: the annotations of the manifest; those with an empty value are left out.
        subject: the manifest that this one belongs to, as its referrer; None if it stands alone.
        config: the configuration of the model if it is a release; None if it is the record of one.

    Example:
        >>> file = ArtifactFile("Modelfile.txt", "sha256:" + "0" * 64, 7)
        >>> made = make_artifact([file], {BASE_NAME: "vicuna:7b"})
        >>> annotations_of(made)[BASE_NAME]
        'vicuna:7b'
    """
    layers = [
        {
            **descriptor_fields(type_of_file(each.name), each.digest, each.size),
            "annotations": {FILE_PATH: each.name, TITLE: each.name},
        }
        for each in layer_order(files)
    ]
    kind, own = (RECORD_TYPE, EMPTY_LAYER) if config is None else (MODEL_PACK, config)
    document = {
        "schemaVersion": 2,
        "mediaType": ARTIFACT_MANIFEST,
        "artifactType": kind,
        "config": descriptor_fields(own.media_type, own.digest, own.size),
        "layers": layers,
        **({"subject": subject.fields()} if subject is not None else {}),
        "annotations": {key: value for key, value in sorted(annotations.items()) if value},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def layer_order(files: Iterable[ArtifactFile]) -> list[ArtifactFile]:
    """Return files in the order of their layers."""
    return sorted(files, key=lambda each: each.name)


def subject_of(content: bytes) -> str:
    """Return the digest of the manifest that another one belongs to; empty if it stands alone."""
    try:
        subject = as_mapping(parse_object(content).get("subject") or {}, "subject")
        digest = optional(subject, "digest", "")
    except ValueError:
        return ""
    return str(digest) if is_digest(digest) else ""


def descriptor_of(content: bytes) -> Descriptor:
    """Return the descriptor of an OCI manifest."""
    return Descriptor(ARTIFACT_MANIFEST, digest_of_bytes(content), len(content), type_of_manifest(content))


def annotations_of(content: bytes) -> dict[str, str]:
    """Return the annotations of a manifest whose values are texts; a damaged manifest has none."""
    try:
        known = as_mapping(parse_object(content).get("annotations") or {}, "annotations")
    except ValueError:
        return {}
    return {key: value for key, value in known.items() if isinstance(value, str)}


def type_of_manifest(content: bytes) -> str:
    """Return the type of a manifest: its ``artifactType``, else its media type, else an empty text."""
    try:
        document = parse_object(content)
        return str(optional(document, "artifactType", "") or optional(document, "mediaType", ""))
    except ValueError:
        return ""


def parse_artifact(content: bytes, where: object) -> tuple[ArtifactFile, ...]:
    """Return the files that the manifest of a release names.

    Args:
        content: the bytes of the manifest.
        where: its place, for the error message.

    Raises:
        InputError: the manifest is not that of a release, or is damaged.
    """
    try:
        document = parse_object(content)
        if not _is_own(document):
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


def _is_own(document: Mapping[str, Any]) -> bool:
    """Return whether a manifest is that of a release; other programs push ModelPacks too."""
    kind = document.get("artifactType")
    if kind != MODEL_PACK:
        return bool(kind == _EARLIER_TYPE)
    layers = [as_mapping(each, "layers") for each in as_list(document.get("layers"), "layers")]
    named = [as_mapping(each.get("annotations") or {}, "annotations").get(TITLE) for each in layers]
    return _OWN_FILE in named


def descriptor_fields(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """Return the descriptor of a blob or a manifest, in its form in JSON."""
    return {"mediaType": media_type, "digest": digest, "size": size}


def _parse_file(value: object) -> ArtifactFile:
    """Return the file that a layer describes; raise ValueError if its digest, name or size is not valid."""
    fields = as_mapping(value, "layers")
    digest = as_text(fields.get("digest"), "digest")
    name = as_text(as_mapping(fields.get("annotations"), "annotations").get(TITLE), TITLE)
    if not is_digest(digest) or digest[6] != ":":
        raise ValueError(digest)
    return ArtifactFile(name, digest, as_whole(fields.get("size"), "size"))
