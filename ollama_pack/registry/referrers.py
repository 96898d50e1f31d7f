"""Finds and adds the manifests that belong to another one: its referrers, in OCI's words.

A registry that does not list them itself has a list of them under a tag made of the digest, as the
specification of OCI says; whoever pushes a referrer keeps that list.
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
    """Send a manifest that belongs to another one, so that whoever knows that one finds it.

    Args:
        remote: the repository.
        content: the manifest, which names its subject.
        tag: a tag for it, or empty if its digest is its name.

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
        subject: the digest of that other one.
        kinds: each ``artifactType`` that counts.

    Raises:
        DestinationError: the registry does not answer, or refuses.
    """
    with remote.reported():
        answer = remote.request(
            remote.url("referrers", subject), headers={"Accept": ARTIFACT_INDEX}, stream=True
        )
        # Only these say that the registry does not list them; a refusal must not pass for an empty list.
        remote.require(answer, "does not say what belongs to it", 200, 400, 404, 405)
        content = answer.raw.read(LARGEST_ANSWER) if answer.status_code == 200 else b""
    found = parse_index(content) if content else None
    if found is None:
        found = _listed_by_tag(remote, subject)
    return tuple(each for each in found if each.artifact_type in kinds)


def _listed_by_tag(remote: RemoteRegistry, subject: str) -> tuple[Descriptor, ...]:
    """Return what the list under the tag of a digest has; nothing if there is none."""
    try:
        return parse_index(remote.fetch_manifest(_tag_of(subject))) or ()
    except UsageError:  # there is no such tag
        return ()


def _tag_of(digest: str) -> str:
    """Return the tag for the list of what belongs to a manifest."""
    return digest.replace(":", "-")


def parse_index(content: bytes) -> tuple[Descriptor, ...] | None:
    """Return the manifests that an index names; None if it is none, or damaged.

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
    """Return a descriptor of an index; raise ValueError if its digest is none."""
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
