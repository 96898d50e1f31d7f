"""Verifies a release in a registry: fetches it like a pull, proves it like a folder, and keeps nothing."""

from dataclasses import replace

from ollama_pack.disk.files import Note, Progress
from ollama_pack.disk.known_digests import read_once
from ollama_pack.errors import ProofError
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE
from ollama_pack.pipeline.prepare import GGUF_NAME, MERGED_NAME, silent
from ollama_pack.pipeline.release.fetched_record import nobody_signed
from ollama_pack.pipeline.release.policy import Policy
from ollama_pack.pipeline.release.pull import FetchedRelease, bare_image, fetched_release
from ollama_pack.pipeline.release.signing import Signer
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.verify import Verdict, verify_release
from ollama_pack.registry.reference import OciReference
from ollama_pack.verify.result import ProofResult


@read_once()
def verify_remote(
    request: Request,
    place: OciReference,
    signer: Signer | Policy | None = None,
    note: Note = silent,
    progress: Progress | None = None,
) -> tuple[Verdict, ...]:
    """Prove again what is recorded of a release in a registry, and that its bytes are those of its digests.

    Args:
        request: what the user asks for; it may name the store that has the base.
        place: where the release is.
        signer: who must have signed it, or a policy that says what is required of it; None if nobody has to.
        note: called after each proof.
        progress: called while bytes are fetched.

    Returns:
        The result of each proof, or why it could not be made here.

    Raises:
        ProofError: a proof failed, or somebody must have signed what has no release.
        UsageError: the registry has no such release.
        DestinationError: the registry does not answer or refuses.
    """
    with fetched_release(place, None, note, progress) as fetched:
        if fetched.folder is None and signer is not None:
            raise nobody_signed(place)
        blobs = _prove_blobs(fetched) if fetched.model else ()
        for each in blobs:
            note("proof", each)
        if fetched.folder is None:
            return blobs
        here = replace(request, directory=fetched.folder)
        return (*blobs, *verify_release(here, note, progress, signer))


def _prove_blobs(fetched: FetchedRelease) -> tuple[ProofResult, ...]:
    """Prove that Ollama's own manifest is of this release, and that each blob that it names is there.

    If the base was pushed too, its blobs are among them.

    Raises:
        ProofError: a blob has other bytes than its digest says, or is another one than the release has.
    """
    place = fetched.pulled.place
    image = bare_image(fetched.model, place)
    manifests = [image]
    if fetched.folder is not None:
        made = {each.digest for each in fetched.pulled.files if each.name in {GGUF_NAME, MERGED_NAME}}
        if not made & {each.digest for each in image.layers if each.media_type in {ADAPTER_TYPE, MODEL_TYPE}}:
            raise ProofError(
                "The model that Ollama would pull is not that of the release.",
                where=place,
                code="not-as-recorded",
            )
        manifests += fetched.base_images()
    layers = {each.digest: each for whole in manifests for each in (whole.config, *whole.layers)}
    for layer in layers.values():
        fetched.blob(layer)
    size = sum(each.size for each in layers.values())
    summary = f"{len(layers)} blobs of {size:,} bytes are those of their digests, as ollama pull gets them"
    return (ProofResult("blobs", passed=True, figure=0.0, limit=0.0, summary=summary),)
