"""Pushes a release to the Hugging Face Hub, after proving what is recorded of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ollama_pack.disk.files import Note, Progress, sha256_of_file
from ollama_pack.disk.known_digests import read_once
from ollama_pack.disk.locks import folder_lock
from ollama_pack.errors import UsageError
from ollama_pack.hub.client import HubReference
from ollama_pack.hub.push import HubCommit, compare_with_hub, push_to_hub
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.papers.names import RELEASE_NAMES, is_release
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.verify import check_folder
from ollama_pack.registry.shipment import PlannedBlob, PlannedTag, PushPlan


def push_release_to_hub(
    request: Request, place: HubReference, note: Note = silent, progress: Progress | None = None
) -> HubCommit:
    """Push a release to a repository on the Hub, whose card is that of the release.

    Args:
        request: what the user asks for; its directory is the folder of the release.
        place: the repository and its branch.
        note: called after each stage.
        progress: called while bytes are read.

    Raises:
        InputError: the folder is no release, or is damaged.
        ProofError: a file is not as recorded, and nothing was sent; or the Hub has something else.
        UsageError: there is no such repository or branch, or this user may not write there.
        DestinationError: the Hub does not answer; the repository is as it was.

    Example:
        >>> from ollama_pack.hub.client import parse_hub_reference
        >>> place = parse_hub_reference("hf://ada/lovelace-gguf")
        >>> push_release_to_hub(Request(directory="dist"), place).place  # doctest: +SKIP
        'hf://ada/lovelace-gguf@1f…'
    """
    with _files_for_hub(request, place, note, progress) as files:
        pushed = push_to_hub(files, place, RELEASE_NAMES, os.environ)
    note("push", pushed)
    return pushed


def plan_push_to_hub(
    request: Request, place: HubReference, note: Note = silent, progress: Progress | None = None
) -> PushPlan:
    """Return what a push of a release to the Hub would move and replace; nothing is sent.

    Args:
        request: what the user asks for; its directory is the folder of the release.
        place: the repository and its branch.
        note: called after each proof.
        progress: called while bytes are read.

    Raises:
        PackError: as `push_release_to_hub`, for every error that shows before anything is sent.
    """
    with _files_for_hub(request, place, note, progress) as files:
        there = compare_with_hub(files, place, RELEASE_NAMES, os.environ)
        blobs = []
        for path in files:
            size, is_there = path.stat().st_size, path.name in there.same
            state = "present" if is_there else "upload"
            blobs.append(PlannedBlob(path.name, sha256_of_file(path), size, state, 0 if is_there else size))
    branch = PlannedTag(place.revision or "main", "", there.commit)
    return PushPlan(str(place), tuple(blobs), (branch,), there.removed)


@contextmanager
def _files_for_hub(
    request: Request, place: HubReference, note: Note, progress: Progress | None
) -> Iterator[list[Path]]:
    """Yield the files of a release that go to the Hub, after proving what is recorded of it."""
    if place.folder:
        raise UsageError(
            "A release is pushed to the top of a repository.",
            where=place,
            hint=f"{HubReference(place.repository, place.revision)}",
            code="bad-name",
        )
    folder = built_folder(request.directory)
    if not is_release(folder):
        raise UsageError(
            "This is the folder of a build, but the Hub gets only releases, which have a model card.",
            where=folder,
            hint="ollama-pack release DIR --out FOLDER  makes one",
            code="no-release",
        )
    with read_once(), folder_lock(folder, progress):
        check_folder(folder, request, note, progress)
        yield [folder / name for name in RELEASE_NAMES if (folder / name).is_file()]
