"""The table of rules, and the error that reports their violations."""

import pytest

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.lora.hints import BY_MERGE, UNTIE
from ollama_pack.lora.mergeable import MERGEABLE
from ollama_pack.lora.unsupported import MOST_LINES, RULES, RuleViolations, Severity


def test_nothing_found():
    """Where nothing was found everything goes on."""
    findings = RuleViolations("x")
    findings.raise_if_any()
    assert findings.codes == ()


@pytest.mark.parametrize("code", RULES)
def test_every_rule(code):
    """Each rule raises the error of its severity, with its reason, its subjects, the file and its hint."""
    findings, rule = RuleViolations("adapter.safetensors"), RULES[code]
    findings.add(code, "some.tensor")
    with pytest.raises((InputError, UnsupportedError)) as caught:
        findings.raise_if_any()
    assert caught.value.exit_code == {Severity.DAMAGED: 3, Severity.UNSUPPORTED: 4}[rule.severity]
    assert f"{rule.feature}: {rule.reason}\n      some.tensor" in caught.value.what
    assert (caught.value.where, caught.value.hint) == ("adapter.safetensors", rule.hint)


@pytest.mark.parametrize("code", RULES)
def test_every_rule_is_written_out(code):
    """A rule has a feature, a reason and a hint, none of them a sentence with a full stop."""
    rule = RULES[code]
    assert all(text and not text.endswith(".") for text in (rule.feature, rule.reason, rule.hint))


def test_what_can_be_merged_says_so():
    """What baking into the base would carry names --merge; prompts and damage do not."""
    merged = MERGEABLE - {"lora-bias", "replication"}
    assert {code for code, rule in RULES.items() if rule.hint == BY_MERGE} == merged
    assert BY_MERGE in RULES["lora-bias"].hint
    assert BY_MERGE in RULES["replication"].hint
    assert RULES["tied"].hint == UNTIE
    others = ("prompt", "vision", "half", "not-finite", "noop")
    assert all("--merge" not in RULES[code].hint for code in others)


def test_all_rules_at_once():
    """Several rules share one error, each with its subjects, and each hint once."""
    findings = RuleViolations("x")
    findings.add("norm", "a.1.norm", "a.0.norm")
    findings.add("dora", "b")
    error = None
    try:
        findings.raise_if_any()
    except UnsupportedError as caught:
        error = caught
    assert error is not None
    assert error.what.splitlines()[2::2] == ["      b", "      a.{0-1}.norm"]
    assert error.hint == BY_MERGE


def test_damage_comes_first():
    """What is damaged is told before what is refused: it has to be mended in any case."""
    findings = RuleViolations("x")
    findings.add("dora", "b")
    findings.add("half", "a")
    with pytest.raises(InputError) as caught:
        findings.raise_if_any()
    assert RULES["dora"].feature not in caught.value.what


def test_many_subjects():
    """Names without end are shortened to a count."""
    findings = RuleViolations("x")
    findings.add("unknown-tensor", *(f"tensor{number}" for number in range(100)))
    error = findings.fatal("unknown-tensor", "last")
    lines = [line for line in error.what.splitlines() if line.startswith("      ")]
    assert error.subjects == {"unknown-tensor": [*(f"tensor{n}" for n in range(100)), "last"]}
    assert (len(lines), lines[-1].strip()) == (
        MOST_LINES + 1,
        f"… and {101 - MOST_LINES} more; --json lists them all",
    )
