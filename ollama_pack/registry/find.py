"""Finds what a place in a registry names: a release, an Ollama model, or a model with its release."""

from dataclasses import dataclass

from ollama_pack.errors import InputError, UsageError
from ollama_pack.ollama.manifest import MANIFEST_TYPE, MODEL_TYPE
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.registry.artifact import RELEASE_TYPES, subject_of, type_of_manifest
from ollama_pack.registry.reference import release_tag
from ollama_pack.registry.referrers import referrers_of
from ollama_pack.registry.remote import RemoteRegistry


@dataclass(frozen=True, slots=True)
class Found:
    """What a place names.

    Attributes:
        release: the manifest of the release, or no bytes if there is only a model.
        model: Ollama's own manifest, or no bytes if the place names a release.
    """

    release: bytes = b""
    model: bytes = b""

    @property
    def digest(self) -> str:
        """Return the digest of the release's manifest, or else of the model's."""
        return digest_of_bytes(self.release or self.model)


def find_release(remote: RemoteRegistry) -> Found:
    """Return what the place of a repository names.

    A release counts as that of a model only if its ``subject`` is the manifest of the model.

    Raises:
        UsageError: there is nothing of that name.
        InputError: the place names neither a release nor a model, or several releases belong to the model.
        ProofError: a manifest does not have the digest that it is named by.
        DestinationError: the registry does not answer, or refuses.
    """
    content = remote.fetch_manifest()
    if type_of_manifest(content) in RELEASE_TYPES:
        return Found(release=content)
    if not _is_model(content):
        raise InputError(
            "This is neither a release that ollama-pack pushed nor an Ollama model.",
            where=remote.place,
            hint="ollama-pack push DIR oci://HOST/NAMESPACE/NAME:TAG  makes one",
            code="not-a-release",
        )
    digest = digest_of_bytes(content)
    release = b"" if remote.place.is_pinned else _release_by_tag(remote, digest)
    return Found(release or _release_by_subject(remote, digest), content)


def _is_model(content: bytes) -> bool:
    """Return whether a manifest is that of an Ollama model, and not of a container image."""
    return type_of_manifest(content) == MANIFEST_TYPE and MODEL_TYPE.encode() in content


def _release_by_tag(remote: RemoteRegistry, subject: str) -> bytes:
    """Return the release that `release_tag` names, or no bytes if there is none or it has another subject."""
    try:
        content = remote.fetch_manifest(release_tag(remote.place.version))
    except UsageError:  # there is no such tag
        return b""
    mine = type_of_manifest(content) in RELEASE_TYPES and subject_of(content) == subject
    return content if mine else b""


def _release_by_subject(remote: RemoteRegistry, subject: str) -> bytes:
    """Return the one release that belongs to a manifest, or no bytes if none does."""
    found = referrers_of(remote, subject, RELEASE_TYPES)
    if not found:
        return b""
    if len(found) > 1:
        raise InputError(
            f"{len(found)} releases belong to this model: name one of them by its digest.",
            where=remote.place,
            hint=" or ".join(str(remote.place.at(each.digest)) for each in found[:3]),
            code="not-a-release",
        )
    content = remote.fetch_manifest(found[0].digest)
    return content if subject_of(content) == subject else b""
