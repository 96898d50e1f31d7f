"""Checks what the manifest of a release says, before its gigabytes are fetched."""

from collections.abc import Mapping
from pathlib import Path

from ollama_pack.disk.files import read_json_object
from ollama_pack.errors import InputError, ProofError
from ollama_pack.pipeline.lock import LOCK_NAME
from ollama_pack.pipeline.release.outgoing import SHARED_NAMES
from ollama_pack.pipeline.release.papers.names import BASE_FILE
from ollama_pack.registry.artifact import BASE_DIGEST, ArtifactFile, annotations_of, parse_artifact
from ollama_pack.registry.reference import OciReference


def require_recorded_blobs(lock: Path, manifest: bytes, place: OciReference) -> None:
    """Require that lock and manifest have one digest of the model, and one of its base.

    This is checked before gigabytes are fetched.

    Args:
        lock: the file of the lock.
        manifest: the manifest of the release.
        place: where the release is, for the error message.

    Raises:
        ProofError: they differ.
        InputError: the lock is damaged.
    """
    document = read_json_object(lock)
    made = document.get("merged") or document.get("adapter")
    recorded = made.get("gguf") if isinstance(made, Mapping) else None
    files = parse_artifact(manifest, place)
    there = [each.digest for each in files if each.name.endswith(".gguf") and each.name != BASE_FILE]
    sent = {each.digest for each in files if each.name == BASE_FILE}
    base, told = document.get("base"), annotations_of(manifest).get(BASE_DIGEST, "")
    known = {base.get("manifest"), base.get("blob")} if isinstance(base, Mapping) else set()
    for what, is_right in (("model", there == [recorded]), ("base", known >= {*sent, told} - {""})):
        if not is_right:
            why = f"The release has another {what} than its {LOCK_NAME} says."
            raise ProofError(why, where=place, code="not-as-recorded")


def nobody_signed(place: OciReference) -> ProofError:
    """Return the error for a model that somebody must have signed, but that has no release.

    Args:
        place: where it is.
    """
    return ProofError("The model has no release, so nobody signed it.", where=place, code="not-signed")


def require_shared_names(files: tuple[ArtifactFile, ...], place: OciReference) -> None:
    """Require that a release names no other files than a push sends; a name could lead elsewhere.

    Args:
        files: its files.
        place: where it is, for the error message.

    Raises:
        InputError: it names another file, or has no lock.
    """
    names = {each.name for each in files}
    if strange := sorted(names - set(SHARED_NAMES)):
        raise InputError(f"The release names a file that no release has: {strange[0]!r:.80}.", where=place)
    if LOCK_NAME not in names:
        raise InputError(
            f"The release has no {LOCK_NAME}, so it cannot be verified.", where=place, code="no-release"
        )
