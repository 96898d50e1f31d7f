"""Pushes a build's folder, a release or an installed model to a registry, after all recorded of it is proved.

What Ollama can pull by itself goes under the tag, as Ollama's own manifest, and the release belongs to it.
Otherwise the tag names the release itself. See "A tag names what Ollama can pull" in docs/decisions.md.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.deliver.package import Package
from ollama_pack.deliver.store import make_image
from ollama_pack.errors import InputError
from ollama_pack.files import Note, Progress, sha256_of_file
from ollama_pack.known_digests import read_once
from ollama_pack.locks import folder_lock
from ollama_pack.ollama.manifest import MANIFEST_TYPE, Image, Layer
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.pipeline.lock import LOCK_NAME, read_lock
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.papers.names import (
    CARD_NAME,
    DOCUMENTS,
    PAPER_NAMES,
    PARTS,
    RECORD_NAME,
    is_release,
)
from ollama_pack.pipeline.release.push_image import (
    BaseOption,
    Pushed,
    own_repository,
    push_image,
    require_tag,
    send_image,
)
from ollama_pack.pipeline.release.whole_image import images_with_base, refuse_base_without_tag
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.verify import check_folder
from ollama_pack.registry.artifact import (
    ARTIFACT_MANIFEST,
    BASE_DIGEST,
    BASE_NAME,
    EMPTY_LAYER,
    RECORD_TYPE,
    TITLE,
    ArtifactFile,
    Descriptor,
    in_order,
    make_artifact,
)
from ollama_pack.registry.model_pack import MODEL_PACK, model_config
from ollama_pack.registry.reference import OciReference, release_tag
from ollama_pack.signing import SIGNATURE_NAME

if TYPE_CHECKING:
    from ollama_pack.registry.remote import RemoteRegistry

SHARED_NAMES = (*PARTS, *PAPER_NAMES, SIGNATURE_NAME)
"""The files that a registry gets; whatever else is in a folder stays there."""

_RECORD_NAMES = (LOCK_NAME, RECORD_NAME, *(name for name in DOCUMENTS if name != CARD_NAME), SIGNATURE_NAME)
"""Those that say what was proved and who signed it, without the model."""


@read_once()
def push_folder(
    request: Request,
    place: OciReference,
    base: BaseOption | None = None,
    note: Note = silent,
    progress: Progress | None = None,
) -> Pushed:
    """Push the files of an earlier build, or of a release, to a registry.

    The tag is written last, so nobody can pull a release of which a part is missing.

    Args:
        request: what the user asks for; its directory is the folder.
        place: where the release goes: a repository and a tag.
        base: what becomes of the base; by default it is not sent.
        note: called after each stage.
        progress: called while bytes are read or sent.

    Raises:
        InputError: the folder is none of a build, or has no lock.
        ProofError: a file is not as recorded, or the base is another one; nothing was sent.
        UsageError: the place is a digest, the base is a file, or the extra ``oci`` is missing.
        DestinationError: the base is not here, or the registry does not answer or refuses.

    Example:
        >>> from ollama_pack.registry.reference import parse_oci_reference
        >>> place = parse_oci_reference("oci://registry.example.com/team/ada-lovelace:1.0")
        >>> push_folder(Request(directory="dist"), place).digest  # doctest: +SKIP
        'sha256:…'
    """
    from ollama_pack.registry.remote import open_registry

    require_tag(place)
    folder, option = built_folder(request.directory), base or BaseOption()
    with folder_lock(folder, progress):
        package, _ = check_folder(folder, request, note, progress)
        files = _files_of(folder, package, progress)
        image, whole_base = _images_of(package, request, option, progress)
        sources = (*option.sources, *own_repository(package.base.tag, place))
        config = _config_of(files, package, read_lock(folder))
        with open_registry(place, os.environ, progress) as remote:
            sent = _send_files(remote, folder, files, sources)
            if whole_base is not None:
                sent += push_image(remote, whole_base, f"{place.version}-base", sources)
            if image is not None:
                sent += send_image(remote, image, sources)
            digest = _push_manifests(remote, files, image, config, _annotations(package, read_lock(folder)))
        pushed = Pushed(place, digest, files, sent, _digest_of_image(image), _digest_of_image(whole_base))
    note("push", pushed)
    return pushed


def _send_files(
    remote: "RemoteRegistry", folder: Path, files: tuple[ArtifactFile, ...], sources: Sequence[str]
) -> int:
    """Send what the repository lacks of a folder's files, and return the number of bytes sent."""
    from ollama_pack.registry.uploads import send_blob

    send_blob(remote, EMPTY_LAYER, "the empty configuration")
    sent = 0
    for each in files:
        layer = Layer("", each.digest, each.size, file=folder / each.name)
        sent += send_blob(remote, layer, each.name, sources)
    return sent


def _images_of(
    package: Package, request: Request, option: BaseOption, progress: Progress | None
) -> tuple[Image | None, Image | None]:
    """Return the whole model, if it has its base in it or the base is sent too, and the base that is sent."""
    if package.adapter is None:
        return make_image(package, None, progress), None
    return images_with_base(package, request, progress) if option.sent else (None, None)


def _digest_of_image(image: Image | None) -> str:
    """Return the digest of a model's manifest; empty if there is none."""
    return f"sha256:{image.digest}" if image else ""


def _push_manifests(
    remote: "RemoteRegistry",
    files: tuple[ArtifactFile, ...],
    image: Image | None,
    config: Layer,
    annotations: Mapping[str, str],
) -> str:
    """Send the manifests of a release and of its record, and return the digest of the release's.

    What the tag names is sent last: Ollama's manifest if the model is whole, otherwise the release. The
    others belong to it.
    """
    from ollama_pack.registry.referrers import push_referrer
    from ollama_pack.registry.uploads import send_blob

    send_blob(remote, config, "the configuration")
    tag, subject = remote.place.version, None
    if image is not None:
        subject = Descriptor(MANIFEST_TYPE, f"sha256:{image.digest}", len(image.manifest))
        remote.push_manifest(image.manifest, subject.digest, MANIFEST_TYPE)
    release = make_artifact(files, annotations, subject, config)
    own = Descriptor(ARTIFACT_MANIFEST, digest_of_bytes(release), len(release), MODEL_PACK)
    if subject is None:
        remote.push_manifest(release, own.digest)
    else:
        push_referrer(remote, release, own, subject.digest, release_tag(tag))
    record = make_artifact(
        [each for each in files if each.name in _RECORD_NAMES], annotations, subject or own
    )
    named = Descriptor(ARTIFACT_MANIFEST, digest_of_bytes(record), len(record), RECORD_TYPE)
    push_referrer(remote, record, named, (subject or own).digest)
    if image is not None:
        remote.push_manifest(image.manifest, tag, MANIFEST_TYPE)
    else:
        remote.push_manifest(release, tag)
    return own.digest


def _files_of(folder: Path, package: Package, progress: Progress | None) -> tuple[ArtifactFile, ...]:
    """Return the files of a folder that go to a registry.

    Raises:
        InputError: there is no lock, which is what the receiver verifies them with.
        UsageError: the base is a file that stays on this machine.
    """
    if not (folder / LOCK_NAME).is_file():
        raise InputError(
            f"There is no {LOCK_NAME} here, so nobody could verify what is pushed.",
            where=folder,
            hint="ollama-pack build DIR --via folder --out FOLDER  makes such a folder",
            code="no-release",
        )
    refuse_base_without_tag(package)
    known = [name for name in SHARED_NAMES if name != CARD_NAME or is_release(folder)]
    paths = [folder / name for name in dict.fromkeys(known) if (folder / name).is_file()]
    return tuple(
        ArtifactFile(each.name, sha256_of_file(each, progress), each.stat().st_size) for each in paths
    )


def _config_of(files: tuple[ArtifactFile, ...], package: Package, lock: Mapping[str, Any]) -> Layer:
    """Return the configuration of a model that other programs read."""
    return model_config(
        str(lock.get("model", "")), package.base.hparams.arch, [each.digest for each in in_order(files)]
    )


def _annotations(package: Package, lock: Mapping[str, Any]) -> dict[str, str]:
    """Return what the manifest says of the whole: its name, and its base with the digest that is recorded."""
    known = lock.get("base")
    base = known if isinstance(known, Mapping) else {}
    if package.adapter is None:
        return {TITLE: str(lock.get("model", ""))}
    return {
        TITLE: str(lock.get("model", "")),
        BASE_NAME: package.base.tag,
        BASE_DIGEST: str(base.get("manifest") or base.get("blob") or ""),
    }
