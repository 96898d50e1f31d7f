"""Which keys of a pattern match which modules: PEFT's rule, for any pattern, within a bound."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_pack.errors import InputError
from ollama_pack.lora.peft import patterns
from ollama_pack.lora.peft.patterns import match_patterns

PATH = Path("adapter_config.json")
MODULES = [
    "model.layers.0.self_attn.q_proj",
    "model.layers.11.self_attn.q_proj",
    "model.layers.0.mlp-x.up_proj",
]


def of_peft(keys, modules):
    """Return what ``get_pattern_key`` of PEFT's peft/utils/other.py does, for every key."""
    found = {}
    for module in modules:
        matching = [key for key in keys if re.match(rf"(.*\.)?({key})$", module)]
        if matching:
            found[module] = matching
    return found


def matched(keys, modules=MODULES, setting="rank_pattern"):
    return match_patterns({"peft_type": "LORA", setting: dict.fromkeys(keys, 4)}, modules, PATH).get(
        setting, {}
    )


names = st.text("ab.-_0", max_size=6)


@settings(max_examples=300)
@given(st.lists(names, max_size=5, unique=True), st.lists(names, max_size=5, unique=True))
def test_names_are_looked_up_as_peft_matches_them(keys, modules):
    """Names are looked up without an expression, and match what the expression matches."""
    keys = [key for key in keys if key]
    assert matched(keys, modules) == of_peft(keys, modules)


def test_expressions_and_names_keep_their_order():
    """The keys of a module are in the order of the file, whichever way they were compared."""
    keys = [
        r".*\.q_proj",
        "self_attn.q_proj",
        "q.proj",
        "",
        r"layers\.0\..*",
        "up_proj",
        "k|q_proj",
        "^model",
    ]
    assert matched(keys) == of_peft(keys, MODULES)


def test_names_with_line_ends():
    """A line end in the name of a module means what it means to an expression."""
    keys, modules = ["q_proj", "a.q_proj"], ["a.q_proj\n", "a\nb.q_proj", "a\n.q_proj"]
    assert matched(keys, modules) == of_peft(keys, modules)


@pytest.mark.parametrize("setting", ["rank_pattern", "alpha_pattern", "n_frequency_pattern"])
@pytest.mark.parametrize("key", ["(.*.*)*x", "(a|aa)+$(", "(?:.*.*.*.*.*.*)x", "(", "x{9999999999999}"])
def test_a_key_that_cannot_be_compared_is_named(setting, key, monkeypatch):
    """A pattern that would run for ever, and one that is none, are told with their setting."""
    monkeypatch.setattr(patterns, "PATTERN_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        matched(["q_proj", ".*up", key], [*MODULES, f"{'a' * 4000}!"], setting)
    assert time.monotonic() - start < 30
    assert repr(key) in caught.value.what
    assert caught.value.where == f"{PATH}: {setting}"
    assert matched(["q_proj", ".*up", f"{'a' * 4000}!"], [*MODULES, f"{'a' * 4000}!"], setting), "by its name"


def test_the_clock_ends_it_where_the_system_has_no_limits(monkeypatch):
    """A system without limits of processor time has the clock, and the key is named all the same."""
    monkeypatch.setattr(patterns, "PATTERN_SECONDS", 100_000)
    monkeypatch.setattr(patterns, "_WALL_SECONDS", 1.0)
    with pytest.raises(InputError, match=r"\(\.\*\.\*\)\*x"):
        matched([".*up", "(.*.*)*x"])


def test_many_keys_and_modules_are_looked_up_once_each(monkeypatch):
    """A key for each module of a mixture of experts costs no comparison of each with each."""
    calls, with_dots = [], patterns._with_dots
    monkeypatch.setattr(patterns, "_with_dots", lambda *args: calls.append(1) or with_dots(*args))
    steps = []
    for count in (100, 200):
        modules = [f"layers.{layer}.experts.{number}.up" for layer in range(10) for number in range(count)]
        calls.clear()
        assert len(matched(modules, modules)) == len(modules)
        steps.append(len(calls))
    assert steps[1] <= 2 * steps[0] + 50


def test_keys_with_dots_everywhere_are_bounded(monkeypatch):
    """Keys that have their dots at other places each are given up after a number of steps."""
    monkeypatch.setattr(patterns, "MOST_LOOKED_UP", 1000)
    keys = [f"{'a' * at}.{'a' * (60 - at)}" for at in range(60)]
    with pytest.raises(InputError, match="cannot be compared"):
        matched(keys, [f"{number:061}" for number in range(100)])


def test_a_process_that_matches_everything_is_bounded(monkeypatch):
    """A million matches and more are not carried."""
    with pytest.raises(InputError, match="cannot be compared"):
        matched([f".*{'x?' * number}" for number in range(130)], [f"{number}" for number in range(10_000)])
