"""Tests a model by cases: what its answers must have, and how likely it must find given answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ollama_pack.engine.answers import Said
from ollama_pack.errors import ProofError, UsageError, bullet_list
from ollama_pack.pipeline.trial.answering import Answering
from ollama_pack.pipeline.trial.cases import Case, CaseFile, FigureCase
from ollama_pack.pipeline.trial.judging import Check, judge_answer
from ollama_pack.pipeline.trial.messages import read_conversations
from ollama_pack.pipeline.trial.perplexity import Likelihood, measure_likelihood
from ollama_pack.pipeline.trial.trial import BASE_VOICE, Voice
from ollama_pack.verify.result import ProofResult


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case.

    Attributes:
        name: the name of the case.
        checks: what was expected of the model, and what was there.
        answer: the answer of the model, or None if the case is about figures.
        base_passes: whether the base does all that is expected too; None if it was not asked.
        likelihoods: how likely base and adapted model find the given answers.
    """

    name: str
    checks: tuple[Check, ...]
    answer: Said | None = None
    base_passes: bool | None = None
    likelihoods: Mapping[str, Likelihood] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all holds."""
        return all(check.holds for check in self.checks)


def run_cases(answering: Answering, cases: CaseFile, *, compare: bool = True) -> Iterator[CaseResult]:
    """Yield what becomes of each case, as soon as it is known.

    Args:
        answering: the models.
        cases: the cases.
        compare: whether the base is asked all questions too; its answers do not change the result.

    Raises:
        InputError: a case cannot be judged, or llama.cpp does not take a conversation.
        UsageError: a case needs a base, and there is none at hand.
        DestinationError: llama.cpp ended, or the daemon does not answer.
    """
    *before, own = answering.trial.voices
    base = before[0] if before and before[0].name == BASE_VOICE else None
    for case in cases.cases:
        yield _run_case(
            answering, case, own, base if compare or "differs_from_base" in case.expected else None
        )
    for figures in cases.figures:
        yield _run_figures(answering, figures, own, base)


def _run_case(answering: Answering, case: Case, own: Voice, base: Voice | None) -> CaseResult:
    """Ask a question, and judge the answer."""
    if case.expected.get("differs_from_base") is not None and base is None:
        raise _no_base(case.name, "differs_from_base")
    limit = case.expected.get("max_tokens")
    more = {} if limit is None else {"num_predict": limit + 1}
    voices = [voice for voice in (base, own) if voice is not None]
    answers = answering.answer(case.conversation, voices=voices, **more).answers
    said, plain = answers[own.name], answers[base.name] if base is not None else None
    checks = judge_answer(case, said, plain)
    judged = judge_answer(case, plain) if plain is not None else ()
    passes = None if not judged else all(check.holds for check in judged)
    return CaseResult(case.name, checks, said, passes)


def _run_figures(answering: Answering, case: FigureCase, own: Voice, base: Voice | None) -> CaseResult:
    """Measure how likely base and adapted model find the answers of conversations."""
    if case.better_than_base_by is not None and base is None:
        raise _no_base(case.name, "better_than_base_by")
    conversations = read_conversations(case.file)
    voices = [voice for voice in (base, own) if voice is not None]
    found = {voice.name: measure_likelihood(answering, voice, conversations) for voice in voices}
    mine, checks = found[own.name], []
    if case.perplexity_at_most is not None:
        got = "" if mine.perplexity <= case.perplexity_at_most else f"{mine.perplexity:.4g}"
        checks.append(Check("perplexity_at_most", f"{case.perplexity_at_most:g}", got))
    if case.better_than_base_by is not None and base is not None:
        gain = found[base.name].loss - mine.loss
        got = "" if gain >= case.better_than_base_by else f"{gain:.4g}"
        checks.append(Check("better_than_base_by", f"{case.better_than_base_by:g}", got))
    return CaseResult(case.name, tuple(checks), likelihoods=found)


def summary_of(results: Sequence[CaseResult]) -> str:
    """Return how many cases hold, and how many questions the base answers as expected."""
    passed = sum(result.passed for result in results)
    asked = [result.base_passes for result in results if result.base_passes is not None]
    base = f"; the base passes {sum(asked)} of the {len(asked)} questions" if asked else ""
    return f"{passed} of {len(results)} cases passed{base}"


def case_proof(result: CaseResult) -> ProofResult:
    """Return a case as a proof, whose figure is the number of checks that do not hold."""
    wrong = [check for check in result.checks if not check.holds]
    words = [f"{check.expectation} {check.expected}, got {check.got}" for check in wrong]
    figures = [f"{each.voice}: perplexity {each.perplexity:.3g}" for each in result.likelihoods.values()]
    hold = [*figures, f"{len(result.checks)} of {len(result.checks)} hold"]
    return ProofResult(
        proof=result.name,
        passed=result.passed,
        figure=float(len(wrong)),
        limit=0.0,
        summary="; ".join(words or hold),
        worst=wrong[0].expectation if wrong else "",
    )


def failed_cases(results: tuple[CaseResult, ...], path: object) -> ProofError:
    """Return the error for cases that do not hold: each with what was expected, and what was there."""
    failed = [each for each in results if not each.passed]
    lines = [
        f"{each.name}: {check.expectation} {check.expected}, got {check.got}"
        for each in failed
        for check in each.checks
        if not check.holds
    ]
    return ProofError(
        bullet_list(f"{len(failed)} of {len(results)} cases failed.", lines),
        where=path,
        subjects={"case": [each.name for each in failed]},
        code="case",
    )


def _no_base(name: str, expectation: str) -> UsageError:
    """Return the error for a case that needs a base which is not at hand."""
    return UsageError(
        f"{expectation} needs the base of the model, which was not found.",
        where=name,
        hint="--base FILE.gguf, with the GGUF file of the base",
        code="base-no-file",
    )


def first_cases(data: tuple[tuple[str, str], ...]) -> str:
    """Return a first file of cases in YAML, made of questions and answers.

    Args:
        data: pairs of a question and the answer that was trained.
    """
    lines = ["# What must hold of the model's answers; docs/testing.md lists what may be expected.", "cases:"]
    for question, answer in data:
        lines += [
            f"  - prompt: {json.dumps(question, ensure_ascii=False)}",
            f"    # trained: {' '.join(answer.split())}",
            "    differs_from_base: true",
            "    stops: true",
        ]
    return "\n".join(lines) + "\n"
