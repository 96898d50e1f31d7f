"""Pushes a whole model to a registry as Ollama does, and says what is there then."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ollama_pack.errors import InputError, UsageError
from ollama_pack.files import Note, Progress
from ollama_pack.ollama.manifest import MANIFEST_TYPE, Image
from ollama_pack.ollama.names import parse_name, require_no_path
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.whole_image import image_of_installed
from ollama_pack.pipeline.request import Request
from ollama_pack.registry.artifact import ArtifactFile, file_of_blob
from ollama_pack.registry.reference import OciReference

if TYPE_CHECKING:
    from ollama_pack.registry.remote import RemoteRegistry


@dataclass(frozen=True, slots=True)
class Pushed:
    """A release or a model that is in a registry now.

    Attributes:
        place: where it is, by its tag.
        digest: the digest of its manifest, which cannot move as a tag can.
        files: its files.
        sent: the number of bytes that the registry did not have.
        ollama: the digest of Ollama's own manifest, which the tag names then; empty if there is none.
        base: the digest of the manifest of the base that was sent too; empty if none was.
    """

    place: OciReference
    digest: str
    files: tuple[ArtifactFile, ...]
    sent: int
    ollama: str = ""
    base: str = ""

    @property
    def pinned(self) -> str:
        """Return the place by its digest."""
        return str(self.place.at(self.digest))

    def __str__(self) -> str:
        size = sum(each.size for each in self.files)
        return f"{self.pinned}  {len(self.files)} files, {self.sent:,} of {size:,} bytes sent"


@dataclass(frozen=True, slots=True)
class BaseOption:
    """What becomes of the base of a model that is pushed.

    Attributes:
        sent: whether the base is sent too.
        sources: other repositories of the registry that may have its blobs.
    """

    sent: bool = False
    sources: tuple[str, ...] = ()


def push_installed(
    request: Request,
    place: OciReference,
    sources: Sequence[str] = (),
    note: Note = silent,
    progress: Progress | None = None,
) -> Pushed:
    """Push an installed model, with its base, as Ollama itself would; its manifest keeps its bytes.

    Args:
        request: what the user asks for; its directory is the name of the model.
        place: where the model goes: a repository and a tag.
        sources: other repositories of the registry that may have some of its blobs.
        note: called after each stage.
        progress: called while bytes are sent.

    Raises:
        UsageError: there is no such model, the place is a digest, or the extra ``oci`` is missing.
        DestinationError: the blobs cannot be read from here, or the registry does not answer or refuses.
    """
    from ollama_pack.registry.remote import open_registry

    require_tag(place)
    require_no_path(str(request.directory))
    image = image_of_installed(parse_name(str(request.directory)), request)
    origins = {each.origin for each in image.layers if each.origin}
    known = [each for origin in sorted(origins) for each in own_repository(origin, place)]
    with open_registry(place, os.environ, progress) as remote:
        sent = push_image(remote, image, place.version, (*sources, *known))
    digest = f"sha256:{image.digest}"
    files = tuple(map(file_of_blob, (image.config, *image.layers)))
    pushed = Pushed(place, digest, files, sent, digest)
    note("push", pushed)
    return pushed


def push_image(remote: "RemoteRegistry", image: Image, tag: str, sources: Sequence[str]) -> int:
    """Push a model as Ollama does, its manifest last, and return the number of bytes sent.

    Args:
        remote: the repository.
        image: the model, each of whose blobs has its content or its file.
        tag: the tag.
        sources: other repositories of the registry that may have some of its blobs.

    Raises:
        DestinationError: the registry refuses it.
    """
    sent = send_image(remote, image, sources)
    remote.push_manifest(image.manifest, tag, MANIFEST_TYPE)
    return sent


def send_image(remote: "RemoteRegistry", image: Image, sources: Sequence[str]) -> int:
    """Send the blobs of a model that the repository lacks, and return the number of bytes sent.

    Args:
        remote: the repository.
        image: the model.
        sources: other repositories of the registry that may have some of its blobs.

    Raises:
        DestinationError: the registry refuses one.
    """
    from ollama_pack.registry.uploads import send_blob

    return sum([send_blob(remote, each, each.kind, sources) for each in (image.config, *image.layers)])


def own_repository(name: str, place: OciReference) -> tuple[str, ...]:
    """Return the repository of a model that came from the same registry, or nothing."""
    try:
        model = parse_name(name)
    except InputError:
        return ()
    repository = f"{model.namespace}/{model.model}"
    return (repository,) if model.host == place.host and repository != place.path else ()


def require_tag(place: OciReference) -> None:
    """Require a place that has a tag, since a digest would name what is there already."""
    if place.is_pinned:
        raise UsageError(
            "A release is pushed to a tag.",
            where=place,
            hint="oci://HOST/NAMESPACE/NAME:TAG",
            code="bad-name",
        )
