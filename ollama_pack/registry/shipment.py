"""What a push sends: blobs, then the manifests that name them; it is sent, or compared with what is there.

A plan and its push are made of the same shipment, so that the plan describes exactly that push.
"""

from dataclasses import dataclass

from ollama_pack.errors import UsageError
from ollama_pack.ollama.manifest import Layer
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.registry.artifact import ARTIFACT_MANIFEST, subject_of
from ollama_pack.registry.referrers import push_referrer
from ollama_pack.registry.remote import RemoteRegistry
from ollama_pack.registry.uploads import blob_state, send_blob


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A manifest that is sent.

    Attributes:
        content: its bytes.
        tag: its tag; empty if it is pushed by its digest.
        media_type: its media type.
    """

    content: bytes
    tag: str = ""
    media_type: str = ARTIFACT_MANIFEST

    @property
    def digest(self) -> str:
        """Return its digest."""
        return digest_of_bytes(self.content)


@dataclass(frozen=True, slots=True)
class Shipment:
    """All that a push sends.

    Attributes:
        blobs: the blobs, each with its content or its file, and with its name for people.
        manifests: the manifests, in the order in which they are sent; the last one has the tag.
        sources: other repositories of the registry that may have some of the blobs.
    """

    blobs: tuple[tuple[str, Layer], ...]
    manifests: tuple[Outgoing, ...]
    sources: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return the number of bytes of its blobs."""
        return sum(layer.size for _, layer in self.blobs)


@dataclass(frozen=True, slots=True)
class PlannedBlob:
    """What a push would do with a blob.

    Attributes:
        name: its name for people.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: its size in bytes.
        state: ``present`` in the repository, ``mount`` from another one, or ``upload``.
        bytes: the number of bytes that would be sent; of an upload that was interrupted, the rest.
        source: the repository that it is mounted from; empty if it is not mounted.
    """

    name: str
    digest: str
    size: int
    state: str
    bytes: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class PlannedTag:
    """What a push would do with a tag.

    Attributes:
        name: the tag.
        digest: the digest that it would name.
        before: the digest that it names now; empty if there is no such tag.
    """

    name: str
    digest: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push would move and replace.

    Attributes:
        place: where it would go.
        blobs: what becomes of each blob, or of each file.
        tags: what becomes of each tag, or of the branch.
        removed: the files of an earlier release that would be removed; always empty for a registry.
    """

    place: str
    blobs: tuple[PlannedBlob, ...]
    tags: tuple[PlannedTag, ...]
    removed: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Return the number of bytes that would be sent."""
        return sum(each.bytes for each in self.blobs)


def whole_shipment(
    blobs: list[tuple[str, Layer]], manifests: list[Outgoing], sources: tuple[str, ...]
) -> Shipment:
    """Return a shipment that has each blob once, under the first name that it has."""
    once: dict[str, tuple[str, Layer]] = {}
    for name, layer in blobs:
        once.setdefault(layer.digest, (name, layer))
    return Shipment(tuple(once.values()), tuple(manifests), sources)


def send_shipment(remote: RemoteRegistry, shipment: Shipment) -> int:
    """Send what a repository lacks of a shipment, its manifests last, and return the number of bytes sent.

    Args:
        remote: the repository.
        shipment: what is sent.

    Raises:
        DestinationError: the registry does not answer, or refuses.
    """
    sent = sum([send_blob(remote, layer, name, shipment.sources) for name, layer in shipment.blobs])
    for each in shipment.manifests:
        if subject_of(each.content):
            push_referrer(remote, each.content, each.tag)
        else:
            remote.push_manifest(each.content, each.tag or each.digest, each.media_type)
    return sent


def compare_shipment(remote: RemoteRegistry, shipment: Shipment) -> PushPlan:
    """Return what a repository lacks of a shipment, and what its tags name now; nothing is sent.

    Args:
        remote: the repository.
        shipment: what would be sent.

    Raises:
        DestinationError: the registry does not answer, or refuses.
    """
    blobs = []
    for name, layer in shipment.blobs:
        state, missing, source = blob_state(remote, layer, name, shipment.sources)
        blobs.append(PlannedBlob(name, layer.digest, layer.size, state, missing, source))
    tags = [
        PlannedTag(each.tag, each.digest, _digest_of_tag(remote, each.tag))
        for each in shipment.manifests
        if each.tag
    ]
    return PushPlan(str(remote.place), tuple(blobs), tuple(tags))


def _digest_of_tag(remote: RemoteRegistry, tag: str) -> str:
    """Return the digest that a tag names; empty if there is no such tag."""
    try:
        return digest_of_bytes(remote.fetch_manifest(tag))
    except UsageError:  # there is no such tag
        return ""
