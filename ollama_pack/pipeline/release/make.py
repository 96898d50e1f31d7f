"""Makes a release: the build, its proofs and its papers in one folder, the same bytes wherever it is made."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ollama_pack.base.model import BaseModel
from ollama_pack.disk.files import Note, Progress, read_small, whole_file
from ollama_pack.disk.locks import folder_lock
from ollama_pack.errors import DestinationError, UsageError
from ollama_pack.ollama.manifest import LICENSE_TYPE
from ollama_pack.ollama.store import image_in_store
from ollama_pack.ollama.store_layout import blob_path
from ollama_pack.pipeline.build import Outcome, build
from ollama_pack.pipeline.prepare import silent
from ollama_pack.pipeline.release.gate import prove_cases
from ollama_pack.pipeline.release.papers.licences import (
    license_conflict,
    license_name,
    license_of_adapters,
    license_of_text,
)
from ollama_pack.pipeline.release.papers.names import (
    RECORD_NAME,
    REPORT_NAME,
    SUMS_NAME,
    digest_of_sums,
    remove_papers,
    require_release_folder,
    sums_of,
)
from ollama_pack.pipeline.release.papers.record import document_text, documents_of, release_record
from ollama_pack.pipeline.release.unchanged import digest_of_inputs, digest_with_base
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.trial.cases import CaseFile, read_cases
from ollama_pack.pipeline.verify import verify_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release in its folder.

    Attributes:
        folder: the folder.
        outcome: what the build made.
        record: the content of ``release.json``.
        digest: the digest of the whole release, ``sha256:…``: that of its SHA256SUMS.
    """

    folder: Path
    outcome: Outcome
    record: dict[str, Any]
    digest: str


def make_release(
    request: Request,
    page: Callable[[Outcome], str] | None = None,
    note: Note = silent,
    progress: Progress | None = None,
    cases: Path | None = None,
) -> Release:
    """Build a model into a folder, prove it there, and write its papers; the sums come last.

    Args:
        request: what the user asks for; its `out` is the folder.
        page: makes the report on the training run from the build, or None for a release without one.
        note: called after each stage.
        progress: called while bytes are read or written.
        cases: a file of cases that must hold, or None.

    Raises:
        PackError: the build, a proof or a case fails, the folder has other files, or the base is a file
            that the release would name by its path.
    """
    folder = request.out
    if folder is None:
        raise UsageError("A release needs a folder of its own.", hint="--out DIR", code="bad-option")
    request = replace(request, via="folder")
    require_release_folder(folder)
    gate = read_cases(cases) if cases is not None else None
    # The build and the proofs take the lock of the folder in turn; this one keeps other releases out.
    with folder_lock(folder / SUMS_NAME, progress):
        return _make_in_folder(request, folder, (page, gate), (note, progress))


def _make_in_folder(
    request: Request,
    folder: Path,
    wanted: tuple[Callable[[Outcome], str] | None, CaseFile | None],
    told: tuple[Note, Progress | None],
) -> Release:
    """Make a release in its folder, which no other release changes meanwhile."""
    (page, cases), (note, progress) = wanted, told

    def keep(stage: str, value: object) -> None:
        if stage == "base" and isinstance(value, BaseModel):
            _require_name_of_base(value, request)
        note(stage, value)

    remove_papers(folder)
    outcome = build(request, keep, progress)
    require_release_folder(folder)  # a build keeps a Modelfile.txt that somebody edited beside its own
    checked = replace(request, directory=folder, others=(), weights=(), name=outcome.receipt.name)
    verdicts = verify_release(checked, note, progress)
    tested = prove_cases(folder, request, cases, note) if cases is not None else None
    if page is not None:
        _write_paper(folder / REPORT_NAME, page(outcome).encode("utf-8"))
    inputs = digest_of_inputs(request, report=page is not None, progress=progress, cases=cases)
    proved = (*verdicts, *tested.proofs) if tested is not None else verdicts
    record = {
        **release_record(folder, request, outcome, proved, _licenses_of(outcome)),
        **({"cases": tested.record} if tested is not None else {}),
        "inputs": digest_with_base(inputs, request, outcome.work.base.tag),
    }
    content = document_text(record)
    _write_paper(folder / RECORD_NAME, content)
    digest = digest_of_sums(content).removeprefix("sha256:")
    for name, text in documents_of(record, digest).items():
        _write_paper(folder / name, text)
    sums = sums_of(folder, {each["name"]: each["sha256"] for each in record["files"]})
    _write_paper(folder / SUMS_NAME, sums)
    return Release(folder=folder, outcome=outcome, record=record, digest=digest_of_sums(sums))


def _require_name_of_base(base: BaseModel, request: Request) -> None:
    """Require that a release can name its base without the path of a file on this machine."""
    if base.gguf is None or base.tag or request.merge:
        return
    raise UsageError(
        "The base is a file, and a release cannot name a file of this machine.",
        where=base.gguf,
        hint="--base with an Ollama model; or --merge  puts the base into the release",
        code="base-is-a-file",
    )


def _licenses_of(outcome: Outcome) -> dict[str, str]:
    """Return the licences of the adapter and of its base, and why they do not go together."""
    inputs = outcome.inputs
    adapter, differ = license_of_adapters([each.home for each in inputs.directories])
    base = outcome.work.base
    named = license_name(base.info.metadata.get("general.license")) if base.info else ""
    for store in () if named or not base.tag else inputs.locations.stores:
        with contextlib.suppress(DestinationError, OSError):
            for layer in image_in_store(store, base.tag).layers:
                if layer.media_type == LICENSE_TYPE:
                    text = read_small(blob_path(store, layer.digest)).decode("utf-8", "replace")
                    named = named or license_of_text(text)
    conflicts = filter(None, (differ, license_conflict(adapter, named)))
    return {"adapter": adapter, "base": named, "conflict": "; ".join(conflicts)}


def _write_paper(path: Path, content: bytes) -> None:
    """Write a paper."""
    with whole_file(path) as file:
        file.write(content)
