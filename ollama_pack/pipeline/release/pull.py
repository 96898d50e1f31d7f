"""Pulls a release or a model from a registry: verified as a whole before a folder or a model exists."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.deliver.package import Receipt
from ollama_pack.disk.files import Note, Progress, os_errors_as_destination_error
from ollama_pack.disk.known_digests import read_once
from ollama_pack.errors import UsageError
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.manifest import Image, Layer, parse_manifest
from ollama_pack.ollama.names import DEFAULT_TAG, legal_part, parse_name
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.pipeline.lock import LOCK_NAME
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.already_pulled import memory_of, receipt_in_place, remember_in_place
from ollama_pack.pipeline.release.fetched_record import (
    nobody_signed,
    require_recorded_blobs,
    require_shared_names,
)
from ollama_pack.pipeline.release.policy import Policy
from ollama_pack.pipeline.release.signing import Signer
from ollama_pack.pipeline.release.staged import gathered, require_empty, staging
from ollama_pack.pipeline.request import Request
from ollama_pack.registry.artifact import (
    BASE_DIGEST,
    ArtifactFile,
    annotations_of,
    file_of_blob,
    parse_artifact,
)
from ollama_pack.registry.reference import OciReference

if TYPE_CHECKING:
    from ollama_pack.registry.find import Found
    from ollama_pack.registry.remote import RemoteRegistry


@dataclass(frozen=True, slots=True)
class Pulled:
    """A release or a model that was pulled.

    Attributes:
        place: the place that it came from.
        digest: the digest of its manifest.
        files: its files; of a model without a release, its blobs.
        folder: the folder that has them now, or None if the model was registered.
        receipt: the receipt of the registration, or None.
        unchanged: whether the model was there already, and nothing was fetched, so that no files are known.
    """

    place: OciReference
    digest: str
    files: tuple[ArtifactFile, ...]
    folder: Path | None = None
    receipt: Receipt | None = None
    unchanged: bool = False

    def __str__(self) -> str:
        size = sum(each.size for each in self.files)
        return f"{self.place}  {self.digest}, {len(self.files)} files, {size:,} bytes"


@dataclass(frozen=True, slots=True)
class FetchedRelease:
    """What a registry has at a place, whose bytes are here as far as they are wanted.

    Attributes:
        pulled: its place, digest and files.
        folder: the folder with the files of the release, or None if a model is there without one.
        remote: the repository, for what is fetched later.
        staged: the folder for blobs.
        model: Ollama's own manifest, or no bytes.
        annotations: what the manifest of the release says.
    """

    pulled: Pulled
    folder: Path | None
    remote: "RemoteRegistry"
    staged: Path
    model: bytes = b""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def named_digest(self) -> str:
        """Return the digest of the manifest that the place itself names: of the model, if there is one."""
        return digest_of_bytes(self.model) if self.model else self.pulled.digest

    def base_images(self) -> list[Image]:
        """Return the base that was pushed with the release, or nothing."""
        if not (digest := self.annotations.get(BASE_DIGEST, "")):
            return []
        try:
            return [bare_image(self.remote.fetch_manifest(digest), self.pulled.place)]
        except UsageError:  # there is no such manifest
            return []

    def blob(self, layer: Layer) -> Path:
        """Fetch a blob of a model, and return the file with its bytes."""
        from ollama_pack.registry.downloads import fetch_blob

        part = self.staged / layer.digest[len("sha256:") :]
        fetch_blob(self.remote, file_of_blob(layer), part)
        return part


@read_once()
def pull_release(
    request: Request,
    place: OciReference,
    signer: Signer | Policy | None = None,
    note: Note = silent,
    progress: Progress | None = None,
) -> Pulled:
    """Pull a release, verify it, and register it; with an output directory, leave its files there instead.

    If the same pull registered what the registry still has, and it is still there, nothing is fetched.

    Args:
        request: what the user asks for: the name of the model, the delivery, and the output directory.
        place: where the release is; a model that has none is pulled as Ollama itself would.
        signer: who must have signed it, or a policy that says what is required of it; None if nobody has to.
        note: called after each stage.
        progress: called while bytes are fetched, read or sent.

    Raises:
        UsageError: the registry has no such release, or the extra ``oci`` is missing.
        InputError: the place has something else than a release.
        ProofError: bytes have another digest, a file is not as recorded, the base is another one, or the
            release is not signed by whoever must have signed it.
        DestinationError: the registry does not answer or refuses, or no delivery works.
        RefusedError: the output directory has files already.

    Example:
        >>> from ollama_pack.registry.reference import parse_oci_reference
        >>> place = parse_oci_reference("oci://registry.example.com/team/ada-lovelace:1.0")
        >>> pull_release(Request(directory=".", out="dist"), place).folder  # doctest: +SKIP
        PosixPath('dist')
    """
    out = request.out
    asked = replace(request, out=None, name=request.name or name_of_place(place))
    memory = memory_of(asked, place, signer) if out is None else None
    if out is not None:
        require_empty(out)
    elif there := receipt_in_place(memory, asked, place):
        note("register", there[1])
        return Pulled(place, there[0], (), receipt=there[1], unchanged=True)
    with fetched_release(place, out, note, progress) as fetched:
        if fetched.folder is None:
            pulled = _pull_model(fetched, asked, out, signer)
        else:
            here = replace(asked, directory=fetched.folder, out=out)
            pulled = _use_release(fetched, here, signer, note, progress)
    remember_in_place(memory, (fetched.named_digest, pulled.digest), pulled.receipt)
    return pulled


def _use_release(
    fetched: FetchedRelease,
    request: Request,
    signer: Signer | Policy | None,
    note: Note,
    progress: Progress | None,
) -> Pulled:
    """Verify a release that was fetched; move its files into the output directory or register it."""
    from ollama_pack.pipeline.register import register
    from ollama_pack.pipeline.verify import check_folder, prove_signature

    out, here = request.out, replace(request, out=None)
    prove_signature(here.directory, signer, note)
    if out is None:
        bring_base(fetched, here, note)
        return replace(fetched.pulled, receipt=register(here, note, progress))
    check_folder(here.directory, here, note, progress)
    with os_errors_as_destination_error(out):
        here.directory.replace(out)
    return replace(fetched.pulled, folder=out)


@contextmanager
def fetched_release(
    place: OciReference, out: Path | None, note: Note = silent, progress: Progress | None = None
) -> Iterator[FetchedRelease]:
    """Yield a release whose files are in a folder of their own while the block runs.

    Args:
        place: where the release is.
        out: the directory that the files are for, on whose disk they are fetched; None if there is none.
        note: called when they are here.
        progress: called while bytes are fetched.

    Raises:
        UsageError: the registry has no such release, or the extra ``oci`` is missing.
        InputError: what is there is no release.
        ProofError: bytes have another digest, or the record has another one than the manifest.
        DestinationError: the registry does not answer or refuses.
    """
    from ollama_pack.registry.find import find_release
    from ollama_pack.registry.remote import open_registry

    with open_registry(place, os.environ, progress) as remote:
        found = find_release(remote)
        with staging(found.digest, out, progress) as staged:
            if not found.release:
                config, layers = parse_manifest(found.model, where=place)
                blobs = tuple(map(file_of_blob, (config, *layers)))
                yield FetchedRelease(Pulled(place, found.digest, blobs), None, remote, staged, found.model)
                return
            fetched = _fetch_files(remote, found, staged)
            note("fetch", fetched.pulled)
            yield fetched


def _fetch_files(remote: "RemoteRegistry", found: "Found", staged: Path) -> FetchedRelease:
    """Fetch the files of a release, what is recorded of it first and the model last."""
    from ollama_pack.registry.downloads import fetch_blob

    files = parse_artifact(found.release, remote.place)
    require_shared_names(files, remote.place)
    for each in sorted(files, key=lambda each: (each.name != LOCK_NAME, each.size)):
        fetch_blob(remote, each, staged / each.digest.removeprefix("sha256:"))
        if each.name == LOCK_NAME:
            require_recorded_blobs(staged / each.digest.removeprefix("sha256:"), found.release, remote.place)
    return FetchedRelease(
        Pulled(remote.place, found.digest, files),
        gathered(staged, files),
        remote,
        staged,
        found.model,
        annotations_of(found.release),
    )


def bring_base(fetched: FetchedRelease, request: Request, note: Note = silent) -> None:
    """Install the base of a release from the registry, if it is missing here and was pushed with the release.

    Raises:
        ProofError: its bytes have another digest.
        DestinationError: it cannot be installed.
    """
    from ollama_pack.deliver.install import has_model, install_image
    from ollama_pack.pipeline.built_folder import read_release

    package = read_release(request)
    if package.adapter is None or package.base.gguf is not None:
        return
    name, locations = parse_name(package.base.tag), locations_from(os.environ, None, request.store)
    if has_model(name, locations, request.via):
        return
    for image in fetched.base_images():
        note("register", install_image(image, name, locations, request.via, fetched.blob))


def _pull_model(
    fetched: FetchedRelease, request: Request, out: Path | None, signer: Signer | Policy | None
) -> Pulled:
    """Install a model that has no release; nothing is recorded of it but its digests."""
    from ollama_pack.deliver.install import install_image

    place = fetched.pulled.place
    if signer is not None:
        raise nobody_signed(place)
    if out is not None:
        raise UsageError(
            "This is a model without a release, so it has no files for a folder.",
            where=place,
            hint="the same command without --out  registers the model",
            code="not-a-release",
        )
    name, locations = parse_name(request.name), locations_from(os.environ, None, request.store)
    image = bare_image(fetched.model, place)
    receipt = install_image(image, name, locations, request.via, fetched.blob)
    return replace(fetched.pulled, receipt=receipt)


def bare_image(manifest: bytes, place: OciReference) -> Image:
    """Return the image that Ollama's own manifest describes, without its blobs.

    Args:
        manifest: the manifest.
        place: where it is, for the error message.

    Raises:
        DestinationError: it is the manifest of something else.
    """
    config, layers = parse_manifest(manifest, where=place)
    return Image(layers, config, manifest)


def name_of_place(place: OciReference) -> str:
    """Return the name of the model that a place stands for: that of its repository, with its tag."""
    model = legal_part("model", place.path.rpartition("/")[2])
    tag = DEFAULT_TAG if place.is_pinned else legal_part("tag", place.version)
    return model if tag == DEFAULT_TAG else f"{model}:{tag}"
