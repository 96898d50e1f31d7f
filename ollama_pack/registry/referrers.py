"""Finds and adds the manifests that belong to another one: its referrers, in OCI's words.

If a registry does not list referrers itself, they are listed in an index under a tag that is made of the
digest, as OCI's specification says; the client that pushes a referrer updates that index.
"""

import json
from collections.abc import Collection

from ollama_pack.errors import UsageError
from ollama_pack.formats.untrusted_json import as_list, as_mapping, as_text, as_whole, optional, parse_object
from ollama_pack.ollama.manifest import is_digest
from ollama_pack.registry.artifact import (
    ARTIFACT_INDEX,
    ARTIFACT_MANIFEST,
    Descriptor,
    descriptor_of,
    subject_of,
)
from ollama_pack.registry.remote import LARGEST_ANSWER, RemoteRegistry


def push_referrer(remote: RemoteRegistry, content: bytes, tag: str = "") -> None:
    """Push a manifest as a referrer of another one, so that clients that know the other one find it.

    Args:
        remote: the repository.
        content: the manifest, which names its subject.
        tag: a tag for it; empty if it is pushed by its digest.

    Raises:
        DestinationError: the registry refuses it.
    """
    own, subject = descriptor_of(content), subject_of(content)
    if remote.push_manifest(content, tag or own.digest):
        return
    known = _listed_by_tag(remote, subject)
    if own in known:
        return
    index = {
        "schemaVersion": 2,
        "mediaType": ARTIFACT_INDEX,
        "manifests": [each.fields() for each in (*known, own)],
    }
    remote.push_manifest(json.dumps(index, separators=(",", ":")).encode(), _tag_of(subject), ARTIFACT_INDEX)


def referrers_of(remote: RemoteRegistry, subject: str, kinds: Collection[str]) -> tuple[Descriptor, ...]:
    """Return the manifests of some kinds that belong to another one.

    Args:
        remote: the repository.
        subject: the digest of the manifest that they belong to.
        kinds: each ``artifactType`` that counts.

    Raises:
        DestinationError: the registry does not answer, or refuses.
    """
    with remote.reported():
        answer = remote.request(
            remote.url("referrers", subject), headers={"Accept": ARTIFACT_INDEX}, stream=True
        )
        # 400, 404 and 405 mean that the registry has no such list; a refusal must not pass for an empty one.
        remote.require(answer, "does not list the referrers", 200, 400, 404, 405)
        content = answer.raw.read(LARGEST_ANSWER) if answer.status_code == 200 else b""
    found = parse_index(content) if content else None
    if found is None:
        found = _listed_by_tag(remote, subject)
    return tuple(each for each in found if each.artifact_type in kinds)


def _listed_by_tag(remote: RemoteRegistry, subject: str) -> tuple[Descriptor, ...]:
    """Return the referrers in the index under the tag of a digest; none if there is no such tag."""
    try:
        return parse_index(remote.fetch_manifest(_tag_of(subject))) or ()
    except UsageError:  # there is no such tag
        return ()


def _tag_of(digest: str) -> str:
    """Return the tag of the index that lists the referrers of a manifest."""
    return digest.replace(":", "-")


def parse_index(content: bytes) -> tuple[Descriptor, ...] | None:
    """Return the manifests that an index names, or None if the content is no index or a damaged one.

    Args:
        content: the bytes of the index.
    """
    try:
        document = parse_object(content)
        if document.get("mediaType") != ARTIFACT_INDEX:
            return None
        return tuple(map(_parse_descriptor, as_list(document.get("manifests"), "manifests")))
    except ValueError:
        return None


def _parse_descriptor(value: object) -> Descriptor:
    """Return a descriptor of an index; raise ValueError if its digest is not valid."""
    fields = as_mapping(value, "manifests")
    digest = as_text(fields.get("digest"), "digest")
    if not is_digest(digest):
        raise ValueError(digest)
    return Descriptor(
        optional(fields, "mediaType", ARTIFACT_MANIFEST),
        digest,
        as_whole(fields.get("size"), "size"),
        optional(fields, "artifactType", ""),
    )
