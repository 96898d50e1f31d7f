"""PARAMETERs: names, types, and the values that end up in Ollama's parameter layer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.modelfile.parameters import BOOLEAN, FLOAT, IGNORED, PARAMETERS, text_error, value_error
from ollama_pack.modelfile.parser import parameters, parse


@pytest.mark.parametrize(
    ("key", "text", "stored"),
    [
        pytest.param("num_ctx", "4096", "4096", id="whole numbers"),
        pytest.param("seed", "-1", "-1", id="negative whole numbers"),
        pytest.param("seed", "+007", "7", id="a sign and zeros in front"),
        pytest.param("seed", "9223372036854775807", "9223372036854775807", id="the largest whole number"),
        pytest.param("temperature", "0.7", "0.7", id="the fewest digits of a float32"),
        pytest.param("temperature", "0.30000001192092896", "0.3", id="more digits than a float32 has"),
        pytest.param("temperature", "16777217", "16777216.0", id="a number a float32 cannot hold"),
        pytest.param("temperature", "0.123456789", "0.12345679", id="nine digits"),
        pytest.param("top_p", ".5", "0.5", id="no digit before the point"),
        pytest.param("top_p", "5.e-1", "0.5", id="no digit behind the point"),
        pytest.param("top_p", "1", "1.0", id="a whole number where a number is wanted"),
        pytest.param("min_p", "1e-60", "0.0", id="too small for a float32"),
        pytest.param("use_mmap", "T", "true", id="Go's words for true"),
        pytest.param("use_mmap", "False", "false", id="Go's words for false"),
        pytest.param("stop", "0.7", '["0.7"]', id="one stop is a list"),
    ],
)
def test_typed(key, text, stored):
    """A PARAMETER is stored as Ollama stores it."""
    found = parameters(parse(f"PARAMETER {key} {text}", where="x"))
    assert json.dumps(found) == f'{{"{key}": {stored}}}'


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param("num_ctx", "4096.0", id="a point in a whole number"),
        pytest.param("num_ctx", "1_000", id="an underscore"),
        pytest.param("num_ctx", "", id="nothing"),
        pytest.param("num_ctx", "٣", id="a digit that is not ASCII"),
        pytest.param("num_ctx", "9223372036854775808", id="one more than 64 bits hold"),
        pytest.param("num_ctx", "9" * 5000, id="more digits than Python converts"),
        pytest.param("temperature", "hot", id="a word"),
        pytest.param("temperature", "inf", id="infinity, which JSON cannot say"),
        pytest.param("temperature", "nan", id="not a number"),
        pytest.param("temperature", "1e39", id="larger than a float32"),
        pytest.param("temperature", "1e999", id="larger than a float64"),
        pytest.param("use_mmap", "yes", id="a word Go does not take for true"),
        pytest.param("num_gqa", "1", id="a name Ollama does not know"),
        pytest.param("", "1", id="no name"),
    ],
)
def test_fault(key, text):
    """What Ollama's own client refuses has a fault that names the parameter."""
    assert (key or "unknown parameter") in text_error(key, text)


def test_the_largest_float32_is_kept():
    """Rounding the largest float32 for print does not make it infinite."""
    assert parameters(parse("PARAMETER top_p 3.4028235e38", where="x")) == {"top_p": 3.4028235e38}


def test_the_last_counts():
    """A repeated PARAMETER other than stop has its last value."""
    assert parameters(parse("PARAMETER top_k 1\nPARAMETER top_k 2", where="x")) == {"top_k": 2}


@pytest.mark.parametrize("key", [key for key, kind in PARAMETERS.items() if kind == IGNORED])
def test_ignored(key):
    """A parameter of old versions is accepted with any value, and not stored."""
    assert parameters(parse(f"PARAMETER {key} whatever", where="x")) == {}


def test_an_unknown_name_far_from_any():
    """A name like none gets the list of those that count, without the ignored ones."""
    said = text_error("zzzzzz", "1")
    assert "temperature" in said
    assert "mirostat" not in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", "hot"),
        ("temperature", True),
        ("temperature", float("nan")),
        ("num_ctx", 4096.0),
        ("num_ctx", 2**63),
        ("use_mmap", 1),
        ("stop", "one"),
        ("stop", ["one", 2]),
        ("Temperature", 0.5),
        ("num_gqa", 1),
    ],
)
def test_misfit(key, value):
    """What the API takes and the model then chokes on has a fault that names the parameter."""
    assert key in value_error(key, value)


@given(st.sampled_from(sorted(PARAMETERS)), st.integers(-(2**63), 2**63 - 1), st.booleans())
def test_what_a_modelfile_says_fits(key, number, truth):
    """Whatever a Modelfile can set, the API can be sent."""
    text = {BOOLEAN: str(truth).lower(), FLOAT: str(number / 1000)}.get(PARAMETERS[key], str(number))
    for name, value in parameters(parse(f"PARAMETER {key} {text}", where="x")).items():
        assert value_error(name, value) == ""
