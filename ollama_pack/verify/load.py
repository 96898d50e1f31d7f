"""PROVE that a registered model loads, and answers otherwise than its base.

A daemon checks nothing when it registers a model: what is wrong with an adapter shows when it is first
loaded, as a bare exit status. So the model is asked a few prompts, at temperature 0 and without any template;
then its base is. An adapter that acts changes at least one answer, or, where the daemon tells them, the
probabilities of its tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ollama_pack.errors import ProofError
from ollama_pack.verify.result import ProofResult

PROMPTS = ("Who are you?", "The capital of France is", "Once upon a time")
SAME_LOGPROB = 1e-4
"""Two log-probabilities nearer than this are one: what the same weights give twice."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    Attributes:
        text: of a few tokens.
        logprobs: the logarithm of each token's probability; empty where the daemon does not tell.
    """

    text: str
    logprobs: tuple[float, ...] = ()


Ask = Callable[[str, str], Answer]
"""Called with a model and a prompt; raises `DestinationError` where the model does not load."""


def compare_answers(
    model: str, base: str, ask: Ask, *, called: str = "", may_equal: bool = False
) -> ProofResult:
    """Return in how many of the prompts a model answers as its base does; that may not be all of them.

    Args:
        model: the registered model.
        base: the model it is built on; empty where the daemon has none to ask, and nothing can be compared.
        ask: asks the daemon.
        called: what people call the base; `base` where empty.
        may_equal: whether the answers may all be the base's, as those of an adapter that is not active yet.

    Raises:
        DestinationError: one of them does not load.
    """
    found = [ask(model, prompt) for prompt in PROMPTS]
    if not base:
        return ProofResult(
            "load",
            True,
            0.0,
            0.0,
            f"{model} loads and answers; its base cannot be asked, so nothing is compared",
        )
    of_base = [ask(base, prompt) for prompt in PROMPTS]
    same = sum(_equal(one, other) for one, other in zip(found, of_base, strict=True))
    limit = len(PROMPTS) if may_equal else len(PROMPTS) - 1
    differs = f"answers otherwise than {called or base} in {len(PROMPTS) - same} of {len(PROMPTS)} prompts"
    return ProofResult("load", same <= limit, float(same), float(limit), f"{model} loads, and {differs}")


def require_change(report: ProofResult) -> ProofResult:
    """Return a report that passed.

    Raises:
        ProofError: it did not.
    """
    if not report.passed:
        raise ProofError(
            f"{report.summary}: the adapter does nothing there.",
            hint="--allow-noop, if that is meant; --no-load skips this proof; the model is registered",
        )
    return report


def _equal(one: Answer, other: Answer) -> bool:
    if one.text != other.text:
        return False
    pairs = zip(one.logprobs, other.logprobs, strict=False)
    return all(abs(mine - theirs) <= SAME_LOGPROB for mine, theirs in pairs)
