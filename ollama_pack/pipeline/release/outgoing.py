"""Says what a push consists of: blobs and manifests of a build's folder, a release or an installed model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.deliver.package import Package
from ollama_pack.deliver.store import make_image
from ollama_pack.disk.files import Progress, sha256_of_file
from ollama_pack.errors import InputError, UsageError
from ollama_pack.ollama.manifest import MANIFEST_TYPE, Image, Layer
from ollama_pack.ollama.names import parse_name, require_no_path
from ollama_pack.pipeline.lock import LOCK_NAME, read_lock
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.release.base_file import file_layers, refuse_base_without_tag
from ollama_pack.pipeline.release.papers.names import (
    BASE_FILE,
    CARD_NAME,
    DOCUMENTS,
    RECORD_NAME,
    RELEASE_NAMES,
    is_release,
)
from ollama_pack.pipeline.release.signing import SIGNATURE_NAME
from ollama_pack.pipeline.release.whole_image import image_of_installed, images_with_base
from ollama_pack.pipeline.request import Request
from ollama_pack.registry.artifact import (
    BASE_DIGEST,
    BASE_NAME,
    EMPTY_LAYER,
    TITLE,
    ArtifactFile,
    Descriptor,
    descriptor_of,
    file_of_blob,
    layer_order,
    make_artifact,
)
from ollama_pack.registry.model_pack import model_config
from ollama_pack.registry.reference import OciReference, release_tag
from ollama_pack.registry.shipment import Outgoing, Shipment, whole_shipment

SHARED_NAMES = (*RELEASE_NAMES, BASE_FILE)
"""The files that a registry gets; whatever else is in a folder stays there."""

_RECORD_NAMES = (LOCK_NAME, RECORD_NAME, *(name for name in DOCUMENTS if name != CARD_NAME), SIGNATURE_NAME)
"""The files that say what was proved and who signed it, without the model."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A release or a model that is in a registry now.

    Attributes:
        place: where it is, by its tag.
        digest: the digest of its manifest, which cannot move as a tag can.
        files: its files.
        size: the number of bytes of all that belongs to it.
        sent: the number of bytes that the registry did not have.
        ollama: the digest of Ollama's own manifest, which the tag names then; empty if there is none.
        base: the digest of the manifest of the base that was sent too; empty if none was.
    """

    place: OciReference
    digest: str
    files: tuple[ArtifactFile, ...]
    size: int
    sent: int = 0
    ollama: str = ""
    base: str = ""

    @property
    def pinned(self) -> str:
        """Return the place by its digest."""
        return str(self.place.at(self.digest))

    def __str__(self) -> str:
        return f"{self.pinned}  {len(self.files)} files, {self.sent:,} of {self.size:,} bytes sent"


@dataclass(frozen=True, slots=True)
class BaseOption:
    """What becomes of the base of a model that is pushed.

    Attributes:
        sent: whether the base is sent too; that of an installed model always is.
        sources: other repositories of the registry that may have its blobs.
    """

    sent: bool = False
    sources: tuple[str, ...] = ()


def shipment_of_folder(
    request: Request, package: Package, place: OciReference, option: BaseOption, progress: Progress | None
) -> tuple[Shipment, Pushed]:
    """Return what a push of a build's folder or of a release sends, and what is there afterwards.

    Args:
        request: what the user asks for; its directory is the folder.
        package: the model of the folder, which has been proved.
        place: where it goes.
        option: what becomes of the base.
        progress: called while files are read.

    Raises:
        InputError: the folder has no lock.
        ProofError: the base is another one.
        UsageError: the base is a file that is not sent.
        DestinationError: the base is not here.
    """
    folder = built_folder(request.directory)
    if not (folder / LOCK_NAME).is_file():
        raise InputError(
            f"There is no {LOCK_NAME} here, so nobody could verify what is pushed.",
            where=folder,
            hint="ollama-pack build DIR --via folder --out FOLDER  makes such a folder",
            code="no-release",
        )
    if not option.sent:
        refuse_base_without_tag(package)
    layers, lock = _files_as_layers(folder, package, request, progress), read_lock(folder)
    image, base = _images_of(package, request, option, progress)
    files = tuple(ArtifactFile(name, layer.digest, layer.size) for name, layer in layers)
    config = model_config(
        str(lock.get("model", "")), package.base.hparams.arch, [each.digest for each in layer_order(files)]
    )
    manifests, release = _manifests(files, image, config, _annotations(package, lock), place.version)
    blobs = [*layers, ("the configuration", config), ("the empty configuration", EMPTY_LAYER)]
    for whole in filter(None, (base, image)):
        blobs += [(each.kind, each) for each in (whole.config, *whole.layers)]
    if base is not None:
        manifests.insert(0, Outgoing(base.manifest, f"{place.version}-base", MANIFEST_TYPE))
    sources = (*option.sources, *own_repository(package.base.tag, place))
    shipment = whole_shipment(blobs, manifests, sources)
    made = Pushed(place, release, files, shipment.size, 0, _digest_of_image(image), _digest_of_image(base))
    return shipment, made


def shipment_of_installed(
    request: Request, place: OciReference, option: BaseOption
) -> tuple[Shipment, Pushed]:
    """Return what a push of an installed model sends, with its base, as Ollama itself would.

    Its manifest keeps its bytes.

    Args:
        request: what the user asks for; its directory is the name of the model.
        place: where the model goes.
        option: only its `sources` are used, since the base is always sent.

    Raises:
        UsageError: there is no such model.
        DestinationError: the blobs cannot be read from here.
    """
    require_no_path(str(request.directory))
    image = image_of_installed(parse_name(str(request.directory)), request)
    origins = {each.origin for each in image.layers if each.origin}
    known = [each for origin in sorted(origins) for each in own_repository(origin, place)]
    blobs = [(each.kind, each) for each in (image.config, *image.layers)]
    manifest = Outgoing(image.manifest, place.version, MANIFEST_TYPE)
    shipment = whole_shipment(blobs, [manifest], (*option.sources, *known))
    files = tuple(map(file_of_blob, (image.config, *image.layers)))
    return shipment, Pushed(place, manifest.digest, files, shipment.size, 0, manifest.digest)


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
            "A release is pushed to a tag, not to a digest.",
            where=place,
            hint="oci://HOST/NAMESPACE/NAME:TAG",
            code="bad-name",
        )


def _files_as_layers(
    folder: Path, package: Package, request: Request, progress: Progress | None
) -> list[tuple[str, Layer]]:
    """Return the files of a folder that go to a registry, with a base that is a file among them."""
    own = [name for name in SHARED_NAMES if name != BASE_FILE and (name != CARD_NAME or is_release(folder))]
    paths = [folder / name for name in dict.fromkeys(own) if (folder / name).is_file()]
    layers = {
        path.name: Layer("", sha256_of_file(path, progress), path.stat().st_size, file=path) for path in paths
    }
    if package.adapter is not None and package.base.gguf is not None:
        layers |= file_layers(package, package.base.gguf, request, progress)
    return list(layers.items())


def _images_of(
    package: Package, request: Request, option: BaseOption, progress: Progress | None
) -> tuple[Image | None, Image | None]:
    """Return the whole model, if it has its base in it or the base is sent too, and the base that is sent.

    A base that is a file has no manifest of its own.
    """
    if package.base.gguf is not None:
        return make_image(package, None, progress), None
    return images_with_base(package, request, progress) if option.sent else (None, None)


def _digest_of_image(image: Image | None) -> str:
    """Return the digest of a model's manifest; empty if there is none."""
    return f"sha256:{image.digest}" if image else ""


def _manifests(
    files: tuple[ArtifactFile, ...],
    image: Image | None,
    config: Layer,
    annotations: Mapping[str, str],
    tag: str,
) -> tuple[list[Outgoing], str]:
    """Return the manifests of a release and of its record, and the digest of the release's.

    What the tag names comes last: Ollama's manifest if the model is whole, otherwise the release. The others
    belong to it, and are sent when it is there by its digest.
    """
    whole = None if image is None else Outgoing(image.manifest, media_type=MANIFEST_TYPE)
    subject = None if whole is None else Descriptor(MANIFEST_TYPE, whole.digest, len(whole.content))
    release = make_artifact(files, annotations, subject, config)
    own = descriptor_of(release)
    papers = [each for each in files if each.name in _RECORD_NAMES]
    record = Outgoing(make_artifact(papers, annotations, subject or own))
    if whole is None:
        return [Outgoing(release), record, Outgoing(release, tag)], own.digest
    tagged = Outgoing(whole.content, tag, MANIFEST_TYPE)
    return [whole, Outgoing(release, release_tag(tag)), record, tagged], own.digest


def _annotations(package: Package, lock: Mapping[str, Any]) -> dict[str, str]:
    """Return what the manifest says of the whole: its name, and its base with the digest that is recorded.

    A base that is a file is among the files, if it is not in the model.
    """
    known = lock.get("base")
    base = known if isinstance(known, Mapping) else {}
    if package.base.gguf is not None:
        return {TITLE: str(lock.get("model", ""))}
    return {
        TITLE: str(lock.get("model", "")),
        BASE_NAME: package.base.tag,
        BASE_DIGEST: str(base.get("manifest") or base.get("blob") or ""),
    }
