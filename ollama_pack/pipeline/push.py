"""Pushes a build's folder or a release to a registry, after all is proved that is recorded of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.deliver.package import Package
from ollama_pack.errors import InputError, UsageError
from ollama_pack.files import Note, Progress, sha256_of_file
from ollama_pack.locks import folder_lock
from ollama_pack.ollama.manifest import Layer
from ollama_pack.pipeline.lock import LOCK_NAME, read_lock
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.papers.names import CARD_NAME, PAPER_NAMES, PARTS, is_release
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.verify import check_folder
from ollama_pack.registry.artifact import (
    BASE_DIGEST,
    BASE_NAME,
    EMPTY_LAYER,
    TITLE,
    ArtifactFile,
    make_artifact,
)
from ollama_pack.registry.reference import OciReference

SHARED_NAMES = (*PARTS, *PAPER_NAMES)
"""The files that a registry gets; whatever else is in a folder stays there."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A release that is in a registry now.

    Attributes:
        place: where it is, by its tag.
        digest: the digest of its manifest, which cannot move as a tag can.
        files: its files.
        sent: the number of bytes that the registry did not have.
    """

    place: OciReference
    digest: str
    files: tuple[ArtifactFile, ...]
    sent: int

    @property
    def pinned(self) -> str:
        """Return the place by its digest."""
        return f"{str(self.place).removesuffix(f':{self.place.version}')}@{self.digest}"

    def __str__(self) -> str:
        size = sum(each.size for each in self.files)
        return f"{self.pinned}  {len(self.files)} files, {self.sent:,} of {size:,} bytes sent"


def push_folder(
    request: Request, place: OciReference, note: Note = silent, progress: Progress | None = None
) -> Pushed:
    """Push the files of an earlier build, or of a release, to a registry.

    The manifest is sent last, so nobody can pull a release of which a part is missing.

    Args:
        request: what the user asks for; its directory is the folder.
        place: where the release goes: a repository and a tag.
        note: called after each stage.
        progress: called while bytes are read or sent.

    Raises:
        InputError: the folder is none of a build, or has no lock.
        ProofError: a file is not as recorded; nothing was sent.
        UsageError: the place is a digest, the base is a file, or the extra ``oci`` is missing.
        DestinationError: the registry does not answer or refuses.

    Example:
        >>> from ollama_pack.registry.reference import parse_oci_reference
        >>> place = parse_oci_reference("oci://registry.example.com/team/ada-lovelace:1.0")
        >>> push_folder(Request(directory="dist"), place).digest  # doctest: +SKIP
        'sha256:…'
    """
    from ollama_pack.registry.remote import open_registry
    from ollama_pack.registry.uploads import send_blob

    if place.is_pinned:
        raise UsageError(
            "A release is pushed to a tag.",
            where=place,
            hint="oci://HOST/NAMESPACE/NAME:TAG",
            code="bad-name",
        )
    folder = built_folder(request.directory)
    with folder_lock(folder, progress):
        package, _ = check_folder(folder, request, note, progress)
        files = _files_of(folder, package, progress)
        manifest = make_artifact(files, _annotations(package, read_lock(folder)))
        with open_registry(place, os.environ, progress) as remote:
            sent = 0
            for each in files:
                layer = Layer("", each.digest, each.size, file=folder / each.name)
                sent += send_blob(remote, layer, each.name)
            send_blob(remote, EMPTY_LAYER, "the empty configuration")
            pushed = Pushed(place, remote.push_manifest(manifest, place.version), files, sent)
    note("push", pushed)
    return pushed


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
    if package.adapter is not None and package.base.gguf is not None:
        raise UsageError(
            "The base is a file of this machine, which nobody else has.",
            where=package.base.gguf,
            hint="build again with --base and an Ollama model; or with --merge, which puts the base in",
            code="base-is-a-file",
        )
    known = [name for name in SHARED_NAMES if name != CARD_NAME or is_release(folder)]
    paths = [folder / name for name in dict.fromkeys(known) if (folder / name).is_file()]
    return tuple(
        ArtifactFile(each.name, sha256_of_file(each, progress), each.stat().st_size) for each in paths
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
