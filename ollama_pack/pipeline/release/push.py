"""Pushes a build's folder, a release or an installed model to a registry, after proving what it records.

What Ollama can pull by itself goes under the tag, as Ollama's own manifest, and the release belongs to it.
Otherwise the tag names the release itself. See "A tag names what Ollama can pull" in docs/decisions.md.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ollama_pack.disk.files import Note, Progress
from ollama_pack.disk.known_digests import read_once
from ollama_pack.disk.locks import folder_lock
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.base_file import license_of_base
from ollama_pack.pipeline.release.outgoing import (
    BaseOption,
    Pushed,
    require_tag,
    shipment_of_folder,
    shipment_of_installed,
)
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.verify import check_folder
from ollama_pack.registry.reference import OciReference

if TYPE_CHECKING:
    from ollama_pack.registry.shipment import PushPlan, Shipment


@read_once()
def push_to_registry(
    request: Request,
    place: OciReference,
    option: BaseOption | None = None,
    note: Note = silent,
    progress: Progress | None = None,
) -> Pushed:
    """Push the files of an earlier build, a release or an installed model to a registry.

    The tag is written last, so nobody can pull a release of which a part is missing.

    Args:
        request: what the user asks for; its directory is the folder, or else the name of a model.
        place: where it goes: a repository and a tag.
        option: what becomes of the base; by default it is not sent.
        note: called after each stage.
        progress: called while bytes are read or sent.

    Raises:
        InputError: the folder is not that of a build, or has no lock.
        ProofError: a file is not as recorded, or the base is another one; nothing was sent.
        UsageError: there is no such model, the place is a digest, the base is a file that is not sent, or the
            extra ``oci`` is missing.
        DestinationError: the base is not here, or the registry does not answer or refuses.

    Example:
        >>> from ollama_pack.registry.reference import parse_oci_reference
        >>> place = parse_oci_reference("oci://registry.example.com/team/ada-lovelace:1.0")
        >>> push_to_registry(Request(directory="dist"), place).digest  # doctest: +SKIP
        'sha256:…'
    """
    from ollama_pack.registry.remote import open_registry
    from ollama_pack.registry.shipment import send_shipment

    with (
        _shipment(request, place, option, note, progress) as (shipment, made),
        open_registry(place, os.environ, progress) as remote,
    ):
        pushed = replace(made, sent=send_shipment(remote, shipment))
    note("push", pushed)
    return pushed


@read_once()
def plan_push(
    request: Request,
    place: OciReference,
    option: BaseOption | None = None,
    note: Note = silent,
    progress: Progress | None = None,
) -> "PushPlan":
    """Return what a push would move and replace; the registry is asked, and nothing is sent.

    Args:
        request: what the user asks for; its directory is the folder, or else the name of a model.
        place: where it would go.
        option: what becomes of the base; by default it is not sent.
        note: called after each proof.
        progress: called while bytes are read.

    Raises:
        PackError: as `push_to_registry`, for every error that shows before anything is sent.
    """
    from ollama_pack.registry.remote import open_registry
    from ollama_pack.registry.shipment import compare_shipment

    with (
        _shipment(request, place, option, note, progress) as (shipment, _),
        open_registry(place, os.environ, progress) as remote,
    ):
        return compare_shipment(remote, shipment)


@contextmanager
def _shipment(
    request: Request,
    place: OciReference,
    option: BaseOption | None,
    note: Note,
    progress: Progress | None,
) -> Iterator[tuple["Shipment", Pushed]]:
    """Yield what a push sends, and what is there afterwards; a folder stays as it is while the block runs."""
    require_tag(place)
    chosen = option or BaseOption()
    if not request.directory.is_dir():
        yield shipment_of_installed(request, place, chosen)
        return
    folder = built_folder(request.directory)
    with folder_lock(folder, progress):
        package, _ = check_folder(folder, request, note, progress)
        if chosen.sent and (told := license_of_base(package)):
            note("licence", told)
        yield shipment_of_folder(request, package, place, chosen, progress)
