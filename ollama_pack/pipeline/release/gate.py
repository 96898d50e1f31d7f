"""Gates a release on cases: llama.cpp answers with the files of the release, before it has its papers."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import Note, sha256_of_file
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.trial.cases import CaseFile
from ollama_pack.pipeline.trial.testing import CaseResult, case_proof, failed_cases, summary_of
from ollama_pack.verify.result import ProofResult

CASE_PROOF = "case: "
"""What stands before the name of a case where it is one proof among others."""


@dataclass(frozen=True, slots=True)
class HeldCases:
    """The cases that a release holds.

    Attributes:
        record: what the record of the release says of them.
        proofs: each case as a proof.
    """

    record: Mapping[str, Any]
    proofs: tuple[ProofResult, ...]


def prove_cases(folder: Path, request: Request, cases: CaseFile, note: Note) -> HeldCases:
    """Return that all cases hold for the files in a folder.

    Args:
        folder: the folder of a build.
        request: what the user asks for; its base is that of a merged model.
        cases: the cases.
        note: called with ``cases`` and what became of them.

    Raises:
        ProofError: a case does not hold.
        UsageError: llama.cpp is not installed, or the base is not at hand.
        InputError: a case cannot be judged, or llama.cpp refuses the model.
        DestinationError: llama.cpp ended.
    """
    from ollama_pack.pipeline.prompt.verdict import chat_clock
    from ollama_pack.pipeline.trial.answering import answering
    from ollama_pack.pipeline.trial.sources import TrialSetting, prepare_trial
    from ollama_pack.pipeline.trial.testing import run_cases

    asked = replace(request, directory=folder, others=(), weights=())
    with tempfile.TemporaryDirectory(prefix="ollama-pack-release-") as scratch, chat_clock() as renderer:
        trial = prepare_trial((asked,), TrialSetting(renderer, Path(scratch)))
        with answering(trial, renderer) as ready:
            results = tuple(run_cases(ready, cases))
            runner = next(iter(ready.llamas.values())).name
    summary = summary_of(results)
    note("cases", f"{summary}  ({runner})")
    if not all(each.passed for each in results):
        raise failed_cases(results, cases.path)
    return HeldCases(
        record={
            "files": digests_of_cases(cases),
            "runner": runner,
            "prompt": trial.prompts.kind,
            "summary": summary,
        },
        proofs=tuple(map(_named_proof, results)),
    )


def digests_of_cases(cases: CaseFile) -> list[dict[str, str]]:
    """Return name and SHA-256 of a file of cases, and of each file of conversations that it names.

    Raises:
        DestinationError: a file cannot be read.
    """
    paths = dict.fromkeys((cases.path, *(each.file for each in cases.figures)))
    return [{"name": path.name, "sha256": sha256_of_file(path).removeprefix("sha256:")} for path in paths]


def _named_proof(result: CaseResult) -> ProofResult:
    """Return a case as a proof that cannot be taken for one of another kind."""
    proof = case_proof(result)
    return replace(proof, proof=f"{CASE_PROOF}{proof.proof}")
