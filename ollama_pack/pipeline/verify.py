"""Verifies a build's folder or an installed model: proves again everything that is recorded of it.

The proofs are rows: a name, and a function that returns a `ProofResult` or raises. A further proof is one
more row, and a further source one more function beside `_verify_folder` and `_verify_model`.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ollama_pack import __version__
from ollama_pack.disk.files import Note, Progress, read_json_object, sha256_of_file
from ollama_pack.disk.known_digests import read_once
from ollama_pack.disk.locks import folder_lock
from ollama_pack.errors import DestinationError, InputError, PackError, ProofError, UsageError, bullet_list
from ollama_pack.formats.untrusted_json import file_errors
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.names import parse_name, require_no_path
from ollama_pack.ollama.store_layout import blob_path
from ollama_pack.pipeline.built_folder import base_id_of, read_release
from ollama_pack.pipeline.inputs import expected_base
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.prompt.built import prompts_of_folder, prompts_of_installed
from ollama_pack.pipeline.prompt.gate import prompt_gate
from ollama_pack.pipeline.proof_rows import (
    Row,
    not_as_recorded,
    prove_base_info,
    prove_base_of,
    prove_load_of_folder,
    prove_load_of_installed,
    prove_numbers_of,
    prove_prompt_of,
    record_rows,
    require_recorded,
)
from ollama_pack.pipeline.release.evidence import installed_package, record_of_folder
from ollama_pack.pipeline.release.papers.licences import license_conflict
from ollama_pack.pipeline.release.papers.names import RECORD_NAME, is_release
from ollama_pack.pipeline.release.papers.record import documents_of
from ollama_pack.pipeline.release.policy import Policy, require_policy
from ollama_pack.pipeline.release.signing import SIGNATURE_NAME, Signer, check_signature
from ollama_pack.pipeline.request import Request
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.deliver.package import Package


@dataclass(frozen=True, slots=True)
class NotProved:
    """A proof that could not be made here.

    Attributes:
        proof: the name of the proof.
        why: the reason, as a clause.
    """

    proof: str
    why: str


Verdict: TypeAlias = ProofResult | NotProved


@read_once()
def verify_release(
    request: Request,
    note: Note = silent,
    progress: Progress | None = None,
    signer: Signer | Policy | None = None,
) -> tuple[Verdict, ...]:
    """Prove again what is recorded of a build's folder, or of an installed model.

    Args:
        request: what the user asks for; its directory is the folder, or else the name of a model.
        note: called after each proof.
        progress: called while bytes are read.
        signer: who must have signed the folder of a release, or a policy that says what else is required of
            it; None if nobody has to.

    Returns:
        The result of each proof, or why it could not be made here.

    Raises:
        ProofError: a proof failed.
        InputError: there is no such folder or model, or the folder is not that of a build.
        UsageError: a signer is named for an installed model.

    Example:
        >>> from ollama_pack import Request, build, verify_release
        >>> outcome = build(Request(directory="ada-lovelace-lora", base="smollm2:135m", via="folder"))
        >>> [result.proof for result in verify_release(Request(directory="ada-lovelace-lora"))]
        ['files', 'modelfile', 'numbers', 'base', 'prompt', 'load']
    """
    if request.directory.is_dir():
        folder = built_folder(request.directory)
        with folder_lock(folder, progress):
            signed = prove_signature(folder, signer, note)
            return (*signed, *_verify_folder(folder, request, note, progress))
    if signer is not None:
        raise UsageError(
            "An installed model has no signature.",
            where=request.directory,
            hint="verify the folder of the release, or leave out --key, --identity and --policy",
        )
    return _verify_model(request, note, progress)


@read_once()
def check_folder(
    folder: Path, request: Request, note: Note = silent, progress: Progress | None = None
) -> "tuple[Package, tuple[Verdict, ...]]":
    """Return the package of a build's folder, after all is proved that needs no Ollama.

    Args:
        folder: the folder.
        request: what the user asks for.
        note: called after each proof.
        progress: called while bytes are read.

    Raises:
        ProofError: a file is not as recorded, or a number is not finite.
        InputError: the folder is not that of a build.
    """
    papers = _prove_release(folder, note, progress)
    verdicts = _prove(record_rows(folder, progress), note, partial(not_as_recorded, folder))
    package = read_release(request)
    numbers = (("numbers", partial(prove_numbers_of, package, folder)),)
    return package, (*papers, *verdicts, *_prove(numbers, note))


def _verify_folder(
    folder: Path, request: Request, note: Note, progress: Progress | None
) -> tuple[Verdict, ...]:
    """Prove what is recorded of a build's folder."""
    package, verdicts = check_folder(folder, request, note, progress)
    locations = locations_from(os.environ, folder, request.store)
    record = record_of_folder(folder)
    prompts = prompts_of_folder(package, folder, locations, "pull")
    heard: list[Verdict] = []
    listen = partial(prompt_gate, verdict=prompts, note=_listener(heard, note), strict=request.strict)
    rows = (
        ("base", partial(prove_base_of, package, record, locations, progress)),
        ("prompt", partial(prove_prompt_of, prompts, request)),
        ("load", partial(prove_load_of_folder, package, request, locations, listen, progress)),
    )
    return (*verdicts, *_prove(rows if package.adapter else rows[1:], note), *heard)


def prove_signature(folder: Path, signer: Signer | Policy | None, note: Note) -> tuple[Verdict, ...]:
    """Prove who signed a release; a folder that nobody signed, and need not have, has no such proof.

    Args:
        folder: the folder of the release.
        signer: who must have signed it, or None if nobody has to.
        note: called with the result.

    Raises:
        ProofError: there is no signature, somebody else signed, or a file is not the one that was signed.
    """
    if isinstance(signer, Policy):
        return require_policy(folder, signer, note)
    if signer is not None:
        summary = check_signature(folder, signer)
        result = ProofResult("signature", passed=True, figure=0.0, limit=0.0, summary=summary)
        note("proof", result)
        return (result,)
    if not (folder / SIGNATURE_NAME).exists():
        return ()
    why = "nothing says who must have signed it (--policy, --key, or --identity and --identity-provider)"
    note("unproved", f"signature: {why}")
    return (NotProved("signature", why),)


def _prove_release(folder: Path, note: Note, progress: Progress | None) -> tuple[Verdict, ...]:
    """Prove the sums and the papers of a release; a folder that is no release has none."""
    if not is_release(folder):
        return ()
    from ollama_pack.verify.release_papers import prove_sums

    # A mismatch ends the verification at once, because then nothing that the release says can be trusted.
    sums = _prove((("sums", partial(prove_sums, folder, progress)),), note)
    return (*sums, *_prove((("papers", partial(_prove_documents, folder)),), note))


def _prove_documents(folder: Path) -> ProofResult:
    """Prove that the papers of a release are true, and are those that this version makes of its record.

    Documents that another version made may differ in form; `prove_papers` reads them all the same.

    Raises:
        ProofError: a document says something that is not so, or that its record does not say.
    """
    from ollama_pack.verify.release_papers import prove_papers

    result, path = prove_papers(folder), folder / RECORD_NAME
    record = read_json_object(path)
    if record.get("ollama_pack") != __version__:
        return result
    with file_errors(path):
        made = documents_of(record, sha256_of_file(path).removeprefix("sha256:"))
        conflict = license_conflict(record["licenses"]["adapter"], record["licenses"]["base"])
        is_told = conflict in record["licenses"]["conflict"]
    if not is_told:
        raise ProofError(
            f"The record does not say that its licences do not go together: {conflict}.",
            where=path,
            hint="make the release again, or copy its folder again",
            code="not-as-recorded",
        )
    for name, content in made.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            raise ProofError(
                f"{name} is not what {RECORD_NAME} says.",
                where=folder / name,
                hint="make the release again, or copy its folder again",
                code="not-as-recorded",
            )
    return result


def _verify_model(request: Request, note: Note, progress: Progress | None) -> tuple[Verdict, ...]:
    """Prove what the manifest of an installed model says."""
    from ollama_pack.verify.recorded_files import prove_files

    locations = locations_from(os.environ, None, request.store)
    require_no_path(str(request.directory))
    name = parse_name(request.name or str(request.directory))
    package, record, seen = installed_package(name, locations)
    blobs = package.file.parent
    trained = expected_base(blobs, base_id_of(package.file), request, os.environ)
    package = replace(package, trained=trained)
    prompts = prompts_of_installed(package, Path(record.label), locations)
    base = blob_path(Path(record.label), seen.blob) if package.adapter and seen.blob else None
    heard: list[Verdict] = []
    listen = partial(prompt_gate, verdict=prompts, note=_listener(heard, note), strict=request.strict)
    rows = (
        ("files", partial(require_recorded, partial(prove_files, record.files, progress), blobs)),
        ("numbers", partial(prove_numbers_of, package, blobs)),
        *((("base", partial(prove_base_info, package, seen.seen)),) if package.adapter else ()),
        ("prompt", partial(prove_prompt_of, prompts, request)),
        ("load", partial(prove_load_of_installed, package, request, locations, listen, base)),
    )
    return (*_prove(rows, note), *heard)


def _listener(heard: list[Verdict], note: Note) -> Note:
    """Return a `Note` that keeps the verdicts on the prompts of a daemon, and passes them on."""

    def listen(stage: str, value: object) -> None:
        said = value if isinstance(value, ProofResult) else NotProved(*str(value).split(": ", 1))
        heard.append(said)
        note(stage, value)

    return listen


def _prove(
    rows: Iterable[Row], note: Note, describe: Callable[[PackError], PackError] = lambda error: error
) -> tuple[Verdict, ...]:
    """Return the result of each row; raise one ProofError for all that failed.

    Args:
        rows: the proofs.
        note: called after each proof.
        describe: returns the error to raise for the error of a row.
    """
    verdicts: list[Verdict] = []
    errors: list[PackError] = []
    for proof, make in rows:
        try:
            result = make()
        except DestinationError as error:
            verdicts.append(NotProved(proof, error.clause))
            note("unproved", f"{proof}: {error.clause}")
        except (ProofError, InputError) as error:
            errors.append(describe(error))
        else:
            verdicts.append(result)
            note("proof", result)
    if errors:
        first, several = errors[0], len(errors) > 1
        what = (
            bullet_list("Several proofs failed.", [each.clause for each in errors]) if several else first.what
        )
        raise ProofError(
            what, where=first.where, hint=first.hint, subjects=first.subjects, code=first.code
        ) from first
    return tuple(verdicts)
