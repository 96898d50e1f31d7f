"""The record of a release: everything that its papers say, as one document without dates and paths."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack import __version__
from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.disk.files import read_json_object, sha256_of_file
from ollama_pack.lora.adapter import Adapter, dtypes_of
from ollama_pack.pipeline.lock import LOCK_NAME
from ollama_pack.pipeline.release.papers.attestations import provenance, test_result
from ollama_pack.pipeline.release.papers.bom import bill_of_materials
from ollama_pack.pipeline.release.papers.card import model_card
from ollama_pack.pipeline.release.papers.names import BOM_NAME, CARD_NAME, PARTS, PROVENANCE_NAME, TESTS_NAME
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from ollama_pack.pipeline.build import Outcome
    from ollama_pack.pipeline.request import Request
    from ollama_pack.pipeline.verify import Verdict

RECORD_SCHEMA_VERSION = 1
_OPTIONS = (
    "outtype",
    "merge",
    "merge_type",
    "min_kept",
    "scale",
    "weights",
    "prompt",
    "parameters",
    "strict",
)


def release_record(
    folder: Path,
    request: "Request",
    outcome: "Outcome",
    verdicts: "Sequence[Verdict]",
    licenses: Mapping[str, str],
) -> dict[str, Any]:
    """Return the record of a release, whose files are in their folder already.

    Args:
        folder: the folder.
        request: what the user asked for.
        outcome: what the build made.
        verdicts: what was proved of the folder, and what could not be.
        licenses: the licences of ``adapter`` and ``base``, and their ``conflict``.
    """
    lock = read_json_object(folder / LOCK_NAME)
    adapter, base, proofs = outcome.work.adapter, lock["base"], _proofs_of(outcome, verdicts)
    held = {each.proof for each in proofs}
    merged = outcome.merged is not None
    return {
        "schema_version": RECORD_SCHEMA_VERSION,
        "kind": "release",
        "ollama_pack": __version__,
        "model": str(outcome.receipt.name)
        if ":" in outcome.receipt.name
        else f"{outcome.receipt.name}:latest",
        "form": "merged" if merged else "adapter",
        "files": [
            {
                "name": name,
                "sha256": sha256_of_file(folder / name)[7:],
                "bytes": (folder / name).stat().st_size,
            }
            for name in PARTS
            if (folder / name).is_file()
        ],
        "adapter": _adapter_record(adapter, lock["adapter"]["sources"]),
        "base": {key: base[key] for key in ("architecture", "tag", "source_id", "manifest", "blob")},
        "kept": _kept_of(outcome),
        "licenses": dict(licenses),
        "options": {key: _as_json(getattr(request, key)) for key in _OPTIONS},
        "proofs": list(map(_proof_record, proofs)),
        # Why a proof was not made depends on the machine, so it is printed and not recorded.
        "not_proved": sorted({each.proof for each in verdicts if not isinstance(each, ProofResult)} - held),
    }


def documents_of(record: Mapping[str, Any], record_digest: str) -> dict[str, bytes]:
    """Return the documents that are made of a record, by the names of their files."""
    return {
        BOM_NAME: document_text(bill_of_materials(record)),
        PROVENANCE_NAME: document_text(provenance(record)),
        TESTS_NAME: document_text(test_result(record, record_digest)),
        CARD_NAME: model_card(record).encode(),
    }


def document_text(document: Mapping[str, Any]) -> bytes:
    """Return a document as the text of its file."""
    return (json.dumps(document, indent=2) + "\n").encode()


def _adapter_record(adapter: Adapter, sources: object) -> dict[str, Any]:
    """Return what a record says of an adapter: no path, and of its base the id alone."""
    return {
        "method": adapter.method,
        "rank": adapter.rank,
        "alpha": adapter.alpha,
        "weights": len(adapter.pairs),
        "dtypes": list(dtypes_of(adapter)),
        "trained_on": adapter.base_id if is_hub_id(adapter.base_id) else "",
        "sources": sources,
    }


def _proof_record(proof: ProofResult) -> dict[str, Any]:
    """Return what a record says of a proof."""
    return {
        "proof": proof.proof,
        "passed": proof.passed,
        "figure": _rounded(proof.figure),
        "limit": _rounded(proof.limit),
        "summary": proof.summary,
    }


def _as_json(value: Any) -> Any:  # noqa: ANN401 — the value of an option
    """Return the value of an option with lists in place of tuples."""
    return [_as_json(each) for each in value] if isinstance(value, tuple) else value


def _proofs_of(outcome: "Outcome", verdicts: "Sequence[Verdict]") -> list[ProofResult]:
    """Return the proofs of a build, and those of its folder that the build has not made."""
    own = [each for each in (outcome.report, outcome.prompt.result, outcome.load, outcome.rendered) if each]
    names = {each.proof for each in own}
    return [*own, *(each for each in verdicts if isinstance(each, ProofResult) and each.proof not in names)]


def _kept_of(outcome: "Outcome") -> dict[str, float] | None:
    """Return what a merged file keeps of ΔW, or None if the adapter is a file of its own."""
    if outcome.merged is None:
        return None
    total = outcome.merged.report.total
    return {"gain": _rounded(total.gain), "cosine": _rounded(total.cosine), "noise": _rounded(total.noise)}


def _rounded(number: float) -> float:
    """Return a number with three digits, so that every processor computes the same."""
    return float(f"{number:.3g}")
