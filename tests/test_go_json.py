"""JSON with the bytes of Go's encoder."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.errors import InputError
from ollama_pack.formats.go_json import encode_go_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (4096, "4096"),
        (4096.0, "4096"),
        (0.7, "0.7"),
        (-0.25, "-0.25"),
        (-0.0, "-0"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.25e300, "-1.25e+300"),
        ("<|im_end|>", '"\\u003c|im_end|\\u003e"'),
        ("a & b", '"a \\u0026 b"'),
        ("\u2028", '"\\u2028"'),
        ("é\n\t\x01\x7f", '"é\\n\\t\\u0001\x7f"'),
        ([1, "a"], '[1,"a"]'),
        (("a",), '["a"]'),
        ({"b": 1, "a": 2}, '{"b":1,"a":2}'),
        ({}, "{}"),
    ],
)
def test_values_are_spelled_as_go_spells_them(value, text):
    """Numbers, escapes and separators are Go's, and a newline ends the document."""
    assert encode_go_json(value) == text.encode() + b"\n"


def test_maps_are_sorted_on_demand():
    """A Go map comes out sorted, at every depth; a struct keeps its order."""
    value = {"b": {"z": 1, "a": 2}, "a": 1}
    assert encode_go_json(value, sort_keys=True) == b'{"a":1,"b":{"a":2,"z":1}}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object()])
def test_what_json_cannot_hold_is_refused(value):
    """A value JSON has no word for is an error, not a guess."""
    with pytest.raises(InputError):
        encode_go_json({"key": value})


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@pytest.mark.property
@given(JSON)
def test_reading_undoes_writing(value):
    """What is written reads back as the same value, lone surrogates aside."""
    assert json.loads(encode_go_json(value), parse_int=float) == value


@pytest.mark.property
@given(st.dictionaries(TEXT, st.integers(-1000, 1000)))
def test_sorted_bytes_do_not_depend_on_order(value):
    """Two mappings that are equal have equal bytes."""
    assert encode_go_json(value, sort_keys=True) == encode_go_json(
        dict(reversed(value.items())), sort_keys=True
    )
