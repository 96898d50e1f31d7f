"""The proof that a model loads and answers otherwise than its base."""

import pytest

from ollama_pack.errors import DestinationError, ProofError
from ollama_pack.verify.load import PROMPTS, SAME_LOGPROB, Answer, compare_answers, require_change


def asked(answers):
    """Return something to ask, from (model, prompt number) → answer; others say the same."""
    return lambda model, prompt: answers.get((model, PROMPTS.index(prompt)), Answer("same", (-1.0, -2.0)))


def test_other_answers():
    """One answer that is not the base's is enough, and how many there are is told."""
    report = compare_answers("ada", "tiny", asked({("ada", 1): Answer("other", (-1.0, -2.0))}))
    assert report.passed
    assert (report.figure, report.limit) == (len(PROMPTS) - 1, len(PROMPTS) - 1)
    assert f"differently from tiny for 1 of {len(PROMPTS)} prompts" in report.summary
    assert require_change(report) is report


def test_the_same_answers():
    """Where all answers are the base's the adapter does nothing, and the proof fails."""
    report = compare_answers("ada", "tiny", asked({}))
    assert not report.passed
    with pytest.raises(ProofError, match="has no effect") as caught:
        require_change(report)
    assert "--allow-noop" in caught.value.hint


def test_the_same_answers_where_they_may_be():
    """Of an adapter that may do nothing it is enough that it loads."""
    assert compare_answers("ada", "tiny", asked({}), may_equal=True).passed


@pytest.mark.parametrize(("change", "passed"), [(SAME_LOGPROB * 2, True), (SAME_LOGPROB / 2, False)])
def test_other_probabilities(change, passed):
    """The same words with other probabilities are another answer, unless rounding alone tells them apart."""
    said = Answer("same", (-1.0, -2.0 + change))
    assert compare_answers("ada", "tiny", asked({("ada", 0): said})).passed is passed


def test_a_daemon_that_tells_no_probabilities():
    """Where they are not told, the words count alone."""
    said = {("ada", number): Answer("same") for number in range(len(PROMPTS))}
    assert not compare_answers("ada", "tiny", asked(said)).passed


def test_no_base_to_ask():
    """Where the daemon has no base to ask, loading is all that is proved, and that is said."""
    report = compare_answers("ada", "", asked({}))
    assert (report.passed, report.summary) == (
        True,
        "ada loads and answers; its base cannot be asked, so nothing is compared",
    )


def test_a_model_that_does_not_load():
    """What the daemon says of a model that does not load comes through."""

    def fails(model, prompt):
        raise DestinationError("exit status 1")

    with pytest.raises(DestinationError, match="exit status 1"):
        compare_answers("ada", "tiny", fails)
