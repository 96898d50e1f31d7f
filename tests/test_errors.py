"""The tree of errors, and how one reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack import errors
from ollama_pack.errors import (
    SHOWN_AT_MOST,
    PackError,
    bullet_list,
    fold_by_reason,
    fold_numbered_names,
    natural_key,
    printable,
)

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


@pytest.mark.parametrize(
    ("what", "clause"), [("It broke.", "it broke"), ("A GGUF broke.", "a GGUF broke"), ("GGUF 4.", "GGUF 4")]
)
def test_clause(what, clause):
    """Inside a sentence an error starts in lower case, except for an acronym."""
    assert PackError(what).clause == clause


def test_where_may_be_a_path(tmp_path):
    """A path is taken as it is."""
    assert PackError("It broke.", where=tmp_path).where == str(tmp_path)


def test_listing_sorts_and_merges():
    """Problems are sorted, and told once."""
    assert bullet_list("Two:", ["b", "a", "b"]) == "Two:\n  - a\n  - b"


def test_listing_stops_at_ten():
    """Of many problems ten are told, and the rest are counted."""
    lines = bullet_list("Many:", [f"{number:03}" for number in range(SHOWN_AT_MOST + 7)]).splitlines()
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
    assert bullet_list("Two:", ["blk.10", "blk.2"]) == "Two:\n  - blk.2\n  - blk.10"


def test_printable_escapes_what_a_terminal_acts_on():
    """Letters of every script and line ends stay; escapes, bells and lone surrogates are spelled out."""
    assert printable("ΔW of é\n") == "ΔW of é\n"
    assert printable("\x1b[31mred\a\r\udc80") == r"\x1b[31mred\x07\r\udc80"


NAMES = st.lists(
    st.builds(
        lambda block, expert, end: f"layers.{block}.experts.{expert}.{end}",
        st.integers(0, 6), st.integers(0, 3), st.sampled_from(["up", "do{wn}", "7"]),
    ),
    max_size=40,
)  # fmt: skip


def told(line: str) -> set[str]:
    """Return the names that a line of `fold_numbered_names` stands for, told without its code."""
    match = re.search(r"(?<!\{)\{([0-9,-]+)\}", line)
    if match is None:
        return {line}
    runs = [[int(end) for end in run.split("-")] for run in match[1].split(",")]
    numbers = [number for run in runs for number in range(run[0], run[-1] + 1)]
    return {name for n in numbers for name in told(f"{line[: match.start()]}{n}{line[match.end() :]}")}


@given(NAMES)
def test_collapse_tells_every_name(names):
    """Each name stands in what `fold_numbered_names` says, once, and no other."""
    lines = fold_numbered_names(names)
    assert set().union(*map(told, lines)) == set(names)
    assert sum(len(told(line)) for line in lines) == len(set(names))
    assert len(lines) <= len(set(names))


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ([f"layers.{n}.q" for n in (2, 0, 1)], ["layers.{0-2}.q"]),
        (["layers.0.q", "layers.3.q", "layers.4.q"], ["layers.{0,3-4}.q"]),
        ([f"l.{n}.e.{e}.q" for n in (0, 1) for e in (0, 1)], ["l.{0-1}.e.{0-1}.q"]),
        (["layers.5.q"], ["layers.5.q"]),
        (['a = {"b": 1}', "layers.0.q", "layers.1.q"], ['a = {"b": 1}', "layers.{0-1}.q"]),
        (["layers.05.q", "a1.b", "x"], ["layers.05.q", "a1.b", "x"]),
        ([], []),
    ],
)
def test_collapse(names, lines):
    """Names that differ in their block and expert become one line; others stay."""
    assert fold_numbered_names(names) == lines


def test_collapse_of_a_name_with_ranges():
    """A name that looks like a range of others is told apart from them."""
    names = ["layers.0.q", "layers.1.q", "layers.{0-1}.q"]
    assert fold_numbered_names(names) == names


def test_the_same_problem_of_many_weights_is_one_line():
    """A line has the range and the number of the weights; reasons may differ in the number of a block."""
    shapes = [(f"layers.{block}.q_proj", "4×4, not 8×8") for block in range(30)]
    missing = [(f"layers.{block}.k_proj", f"there is no blk.{block}.attn_k.weight") for block in (0, 1)]
    assert fold_by_reason([*shapes, *missing, ("lm_head", "4×4, not 8×8")]) == [
        "layers.{0-29}.q_proj (30 weights): 4×4, not 8×8",
        "layers.{0-1}.k_proj (2 weights): there is no blk.{0-1}.attn_k.weight",
        "lm_head: 4×4, not 8×8",
    ]
