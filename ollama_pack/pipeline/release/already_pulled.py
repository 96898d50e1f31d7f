"""Remembers what a pull registered, so that the same pull moves nothing while the registry has nothing new.

A fleet looks for its release every hour; what it asks for then is one digest. Only this user can write what
is remembered, and it counts for the same pull alone: the same place and name, and the same bytes of the keys
and of the policy. See "A pull asks for the digest first" in docs/decisions.md.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from ollama_pack import __version__
from ollama_pack.deliver.package import UNCHANGED, Receipt
from ollama_pack.deliver.store import STORE
from ollama_pack.disk.files import read_small, sha256_of_file
from ollama_pack.disk.locks import is_private
from ollama_pack.disk.private_file import write_private_json
from ollama_pack.errors import PackError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.models import DaemonModels, StoreModels, find_model
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.pipeline.release.policy import Policy
from ollama_pack.pipeline.release.signing import Signer
from ollama_pack.pipeline.request import Request
from ollama_pack.registry.reference import OciReference
from ollama_pack.registry.unfinished import is_stale, private_folder

_FACTS = ("tag", "release", "via", "name", "digest", "where", "base_manifest", "base_blob")


def memory_of(request: Request, place: OciReference, signer: Signer | Policy | None) -> Path | None:
    """Return the file for what this very pull registered, or None if nothing can be remembered.

    What nobody asked for in a week is forgotten.

    Args:
        request: what the user asks for, with the name of the model.
        place: where the release is.
        signer: who must have signed it, or the policy.
    """
    with contextlib.suppress(OSError, PackError):  # the pull itself tells what is wrong with a file
        if (folder := private_folder("pulled")) is None:
            return None
        for each in folder.iterdir():
            if is_stale(each):
                each.unlink(missing_ok=True)
        locations = locations_from(os.environ, None, request.store)
        stores = [str(each.absolute()) for each in locations.stores]
        asked = (__version__, place, request, locations, stores, signer, _digests_of(signer))
        return folder / hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()
    return None


def receipt_in_place(
    memory: Path | None, request: Request, place: OciReference
) -> tuple[str, Receipt] | None:
    """Return digest and receipt of a release that the same pull registered and that is still there, or None.

    The registry is asked for one digest, by HEAD; nothing is asked if nothing is remembered.

    Args:
        memory: the file of `memory_of`.
        request: what the user asks for.
        place: where the release is.

    Raises:
        DestinationError: the registry or the daemon does not answer.
    """
    known = _registered_before(memory)
    if (
        memory is None
        or not known
        or not _is_installed(request, known)
        or known["tag"] != _digest_there(place)
    ):
        return None
    with contextlib.suppress(OSError):
        memory.touch()
    line = f"{known['name']} is {UNCHANGED}: the registry has nothing new, and nothing was fetched"
    return known["release"], Receipt(
        known["via"],
        known["name"],
        known["digest"],
        known["where"],
        bytes_written=0,
        lines=(line,),
        served=known["via"] != STORE,
        base_manifest=known["base_manifest"],
        base_blob=known["base_blob"],
    )


def remember_in_place(memory: Path | None, digests: tuple[str, str], made: Receipt | None) -> None:
    """Remember what a pull registered; do nothing if that is impossible.

    Args:
        memory: the file of `memory_of`, as it was before the pull.
        digests: that of the manifest which the place names, and that of the release.
        made: the receipt of the registration.
    """
    if memory is None or made is None or not made.digest:
        return
    facts = dict(zip(_FACTS, (*digests, *(getattr(made, key) for key in _FACTS[2:])), strict=True))
    with contextlib.suppress(OSError):
        write_private_json(memory, facts)


def _digests_of(signer: Signer | Policy | None) -> list[str]:
    """Return the digests of the policy and of every key, whose files may change."""
    signers = signer.signers if isinstance(signer, Policy) else (signer,) if signer else ()
    files = [signer.path] if isinstance(signer, Policy) else []
    return [sha256_of_file(each) for each in (*files, *(one.key for one in signers if one.key))]


def _registered_before(path: Path | None) -> Mapping[str, str]:
    """Return what a file remembers; nothing if another user could have written it, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        if path is not None and is_private(path):
            known: dict[str, str] = parse_json(read_small(path))
            if known.keys() == set(_FACTS) and all(isinstance(each, str) for each in known.values()):
                return known
    return {}


def _digest_there(place: OciReference) -> str:
    """Return the digest of the manifest that a registry has at a place, or an empty text."""
    from ollama_pack.registry.remote import open_registry

    with open_registry(place, os.environ) as remote:
        return remote.told_digest()


def _is_installed(request: Request, known: Mapping[str, str]) -> bool:
    """Return whether a model is as it was registered, with all its blobs."""
    name = parse_name(known["name"])
    if known["via"] == STORE:
        return _has(StoreModels(Path(known["where"])), name, known["digest"])
    with Daemon(locations_from(os.environ, None, request.store).address) as daemon:
        return _has(DaemonModels(daemon), name, known["digest"])


def _has(models: DaemonModels | StoreModels, name: ModelName, digest: str) -> bool:
    """Return whether a model has a digest and is whole."""
    found = find_model(models, name)
    return found is not None and found.digest == digest and not models.why_broken(found.name)
