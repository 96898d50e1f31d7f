"""Pulls a release from a registry: verified as a whole before a folder or a model exists."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.deliver.package import Receipt
from ollama_pack.errors import InputError, RefusedError
from ollama_pack.files import Note, Progress, os_errors_as_destination_error
from ollama_pack.ollama.names import DEFAULT_TAG, legal_part
from ollama_pack.ollama.store_layout import digest_of_bytes
from ollama_pack.pipeline.lock import LOCK_NAME
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.push import SHARED_NAMES
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.staged import gathered, staging
from ollama_pack.registry.artifact import ArtifactFile, parse_artifact
from ollama_pack.registry.reference import OciReference


@dataclass(frozen=True, slots=True)
class Pulled:
    """A release that was pulled.

    Attributes:
        place: where it came from.
        digest: the digest of its manifest.
        files: its files.
        folder: the folder that has them now, or None if the model was registered.
        receipt: the receipt of the registration, or None.
    """

    place: OciReference
    digest: str
    files: tuple[ArtifactFile, ...]
    folder: Path | None = None
    receipt: Receipt | None = None

    def __str__(self) -> str:
        size = sum(each.size for each in self.files)
        return f"{self.place}  {self.digest}, {len(self.files)} files, {size:,} bytes"


def pull_release(
    request: Request, place: OciReference, note: Note = silent, progress: Progress | None = None
) -> Pulled:
    """Pull a release, verify it, and register it; with an output directory, leave its files there instead.

    Args:
        request: what the user asks for: the name of the model, the delivery, and the output directory.
        place: where the release is.
        note: called after each stage.
        progress: called while bytes are fetched, read or sent.

    Raises:
        UsageError: the registry has no such release, or the extra ``oci`` is missing.
        InputError: what is there is no release.
        ProofError: bytes have another digest, a file is not as recorded, or the base is another one.
        DestinationError: the registry does not answer or refuses, or no delivery works.
        RefusedError: the output directory has files already.

    Example:
        >>> from ollama_pack.registry.reference import parse_oci_reference
        >>> place = parse_oci_reference("oci://registry.example.com/team/ada-lovelace:1.0")
        >>> pull_release(Request(directory=".", out="dist"), place).folder  # doctest: +SKIP
        PosixPath('dist')
    """
    from ollama_pack.pipeline.register import register
    from ollama_pack.pipeline.verify import check_folder
    from ollama_pack.registry.downloads import fetch_blob
    from ollama_pack.registry.remote import open_registry

    out = request.out
    if out is not None:
        _require_empty(out)
    with open_registry(place, os.environ, progress) as remote:
        manifest = remote.fetch_manifest()
        pulled = Pulled(place, digest_of_bytes(manifest), parse_artifact(manifest, place))
        _require_shared(pulled.files, place)
        with staging(pulled.digest, out, progress) as staged:
            for each in pulled.files:
                fetch_blob(remote, each, staged / each.digest.removeprefix("sha256:"))
            folder = gathered(staged, pulled.files)
            note("fetch", pulled)
            here = replace(request, directory=folder, out=None, name=request.name or name_of_place(place))
            if out is None:
                return replace(pulled, receipt=register(here, note, progress))
            check_folder(folder, here, note, progress)
            with os_errors_as_destination_error(out):
                folder.replace(out)
    return replace(pulled, folder=out)


def name_of_place(place: OciReference) -> str:
    """Return the name of the model that a place stands for: that of its repository, with its tag."""
    model = legal_part("model", place.path.rpartition("/")[2])
    tag = DEFAULT_TAG if place.is_pinned else legal_part("tag", place.version)
    return model if tag == DEFAULT_TAG else f"{model}:{tag}"


def _require_empty(out: Path) -> None:
    """Require that a directory can become that of a release without losing a file."""
    with os_errors_as_destination_error(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RefusedError(
                "There are files here already.",
                where=out,
                hint="--out DIR, with a new directory",
                code="file-in-the-way",
            )


def _require_shared(files: tuple[ArtifactFile, ...], place: OciReference) -> None:
    """Require that a release names no other files than a push sends; a name could lead elsewhere."""
    names = {each.name for each in files}
    if strange := sorted(names - set(SHARED_NAMES)):
        raise InputError(f"The release has a file that no release has: {strange[0]!r:.80}.", where=place)
    if LOCK_NAME not in names:
        raise InputError(
            f"The release has no {LOCK_NAME}, so it cannot be verified.", where=place, code="no-release"
        )
