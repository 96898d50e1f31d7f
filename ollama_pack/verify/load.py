"""Prove that a model loads in Ollama, and that its answers differ from those of its base.

The daemon checks nothing when it registers a model. A fault of the adapter shows only at the first load, as a
bare exit status. So the model and then its base are asked the same prompts, at temperature 0 and without a
template. An adapter that has an effect changes at least one answer, or the probabilities of its tokens if the
daemon returns them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ollama_pack.errors import ProofError
from ollama_pack.verify.result import ProofResult

PROMPTS = ("Who are you?", "The capital of France is", "Once upon a time")
SAME_LOGPROB = 1e-4
"""Log-probabilities that differ by no more than this are equal: the same weights give that much twice."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a model to one prompt.

    Attributes:
        text: the text of a few tokens.
        logprobs: the log-probability of each token, or () if the daemon does not return them.
    """

    text: str
    logprobs: tuple[float, ...] = ()


Ask = Callable[[str, str], Answer]
"""Function (model, prompt) → the answer. It raises `DestinationError` if the model does not load."""


def compare_answers(
    model: str, base: str, ask: Ask, *, called: str = "", may_equal: bool = False
) -> ProofResult:
    """Return a result with the number of prompts that a model answers as its base does.

    The proof fails if that is the case for all prompts.

    Args:
        model: the name of the registered model.
        base: the name of its base; empty if the daemon does not have the base, so that nothing is compared.
        ask: the function that asks the daemon.
        called: the name of the base in the summary; empty if it is `base`.
        may_equal: whether all answers may be equal, for example because an aLoRA is not active yet.

    Raises:
        DestinationError: the model or its base does not load.
    """
    answers = [ask(model, prompt) for prompt in PROMPTS]
    if not base:
        return ProofResult(
            "load",
            True,
            0.0,
            0.0,
            f"{model} loads and answers; its base cannot be asked, so nothing is compared",
        )
    base_answers = [ask(base, prompt) for prompt in PROMPTS]
    same = sum(_equal(one, other) for one, other in zip(answers, base_answers, strict=True))
    limit = len(PROMPTS) if may_equal else len(PROMPTS) - 1
    differs = f"answers differently from {called or base} for {len(PROMPTS) - same} of {len(PROMPTS)} prompts"
    return ProofResult("load", same <= limit, float(same), float(limit), f"{model} loads, and {differs}")


def require_change(report: ProofResult) -> ProofResult:
    """Return the result if the proof passed.

    Raises:
        ProofError: all answers are those of the base.
    """
    if not report.passed:
        raise ProofError(
            f"{report.summary}, so the adapter has no effect.",
            hint="--allow-noop, if that is intended; --no-load skips this proof",
            code="no-effect",
        )
    return report


def _equal(one: Answer, other: Answer) -> bool:
    """Return whether two answers have the same text and, if both have them, the same log-probabilities."""
    if one.text != other.text:
        return False
    pairs = zip(one.logprobs, other.logprobs, strict=False)
    return all(abs(mine - theirs) <= SAME_LOGPROB for mine, theirs in pairs)
