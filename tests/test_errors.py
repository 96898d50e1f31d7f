"""The tree of errors, and how one reads."""

import pytest

from ollama_pack import errors
from ollama_pack.errors import SHOWN_AT_MOST, PackError, listing, natural_key, printable

CODES = {"InputError": 3, "UnsupportedError": 4, "ProofError": 5, "DestinationError": 6, "RefusedError": 7}


@pytest.mark.parametrize(("name", "code"), CODES.items(), ids=CODES)
def test_exit_codes(name, code):
    """Each kind of error has the exit code the documentation promises, and is caught as PackError."""
    error = getattr(errors, name)("It broke.")
    assert isinstance(error, PackError)
    assert error.exit_code == code


def test_tree_is_complete():
    """There is no kind of error without a code of its own."""
    assert {kind.__name__: kind.exit_code for kind in PackError.__subclasses__()} == CODES


@pytest.mark.parametrize(
    ("where", "hint", "text"),
    [
        pytest.param("", "", "It broke.", id="what alone is one line"),
        pytest.param("a.gguf: x", "", "It broke.\n  in:  a.gguf: x", id="where gets its own line"),
        pytest.param("", "mend it", "It broke.\n  try: mend it", id="hint gets its own line"),
        pytest.param("a", "b", "It broke.\n  in:  a\n  try: b", id="where stands before hint"),
    ],
)
def test_text(where, hint, text):
    """An error reads what, where, try; empty parts leave no line."""
    assert str(PackError("It broke.", where=where, hint=hint)) == text


def test_where_may_be_a_path(tmp_path):
    """A path is taken as it is."""
    assert PackError("It broke.", where=tmp_path).where == str(tmp_path)


def test_listing_sorts_and_merges():
    """Problems are sorted, and told once."""
    assert listing("Two:", ["b", "a", "b"]) == "Two:\n  - a\n  - b"


def test_listing_stops_at_ten():
    """Of many problems ten are told, and the rest are counted."""
    lines = listing("Many:", [f"{number:03}" for number in range(SHOWN_AT_MOST + 7)]).splitlines()
    assert len(lines) == 1 + SHOWN_AT_MOST + 1
    assert lines[-1] == "  … and 7 more"


NATURAL = {
    "blocks by number": ["blk.2.x", "blk.10.x"],
    "numbers before letters": ["blk.7", "blk.a"],
    "numbers of thousands of digits": ["x" + "9" * 5000, "x1" + "0" * 5000],
    "digits that are no decimals": ["x.1", "x.²"],
    "a name before the longer one": ["blk", "blk.1"],
}


@pytest.mark.parametrize("ordered", NATURAL.values(), ids=NATURAL)
def test_natural_order(ordered):
    """Names are ordered as people count, whatever digits are in them."""
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural_key) == ordered


def test_listing_is_in_natural_order():
    """In a list of problems block 2 stands before block 10."""
    assert listing("Two:", ["blk.10", "blk.2"]) == "Two:\n  - blk.2\n  - blk.10"


def test_printable_escapes_what_a_terminal_acts_on():
    """Letters of every script and line ends stay; escapes, bells and lone surrogates are spelled out."""
    assert printable("ΔW of é\n") == "ΔW of é\n"
    assert printable("\x1b[31mred\a\r\udc80") == r"\x1b[31mred\x07\r\udc80"
