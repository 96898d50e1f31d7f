"""Headers that lie: refused or read, quickly and in little memory, however large the file says it is."""

import struct
import time
import tracemalloc

import pytest
from gguf_bytes import array, gguf, key, tensor, text
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_pack.errors import InputError
from ollama_pack.gguf import constants
from ollama_pack.gguf.reader import read_gguf

INPUTS = 3000
SECONDS, MEMORY = 5.0, 64 << 20
LARGE_FILE = 40_000_000_000

numbers = st.one_of(
    st.sampled_from([0, 1, 2, 1024, 1025, 1 << 16, 1 << 20, 1 << 24, (1 << 24) + 1]),
    st.sampled_from([1 << 31, 1 << 32, 1 << 40, 1 << 60, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
kinds = st.one_of(
    st.sampled_from([*constants.SCALARS, constants.STRING, constants.ARRAY]), st.integers(0, 2**32 - 1)
)
raw = st.binary(max_size=40)
strings = st.one_of(raw.map(text), st.tuples(numbers, raw).map(lambda it: struct.pack("<Q", it[0]) + it[1]))
arrays = st.tuples(kinds, numbers, raw).map(lambda it: array(*it))
keys = st.tuples(strings, kinds, st.one_of(raw, strings, arrays)).map(
    lambda it: it[0] + struct.pack("<I", it[1]) + it[2]
)
aligned = st.tuples(
    st.just("general.alignment"), st.sampled_from([4, 5, 10, 11]), st.binary(min_size=8, max_size=8)
)
tensors = st.tuples(
    strings, st.integers(0, 6), st.lists(numbers, max_size=6), st.integers(0, 50), numbers
).map(lambda it: it[0] + struct.pack(f"<I{len(it[2])}QIQ", it[1], *it[2], it[3], it[4]))


@st.composite
def lies(draw):
    """Draw a file whose parts are right or wrong, each by itself."""
    said = draw(st.lists(st.one_of(keys, aligned.map(lambda it: key(*it))), max_size=4))
    held = draw(st.lists(st.one_of(tensors, st.just(tensor("t", (2, 2)))), max_size=4))
    counts = draw(st.one_of(st.none(), st.tuples(numbers, numbers)))
    content = gguf(said, held, draw(raw), counts=counts)
    return content[: draw(st.integers(4, len(content)))] if draw(st.booleans()) else content


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("lies") / "x.gguf"


@settings(max_examples=INPUTS)
@given(content=lies(), sparse=st.booleans())
def test_a_lie_costs_little(place, content, sparse):
    """A file that is large because it has a hole is read or refused like any other."""
    with place.open("wb") as file:
        file.write(content)
        if sparse:
            file.truncate(LARGE_FILE)
    tracemalloc.start()
    start = time.monotonic()
    try:
        read_gguf(place)
    except InputError as error:
        assert str(place) in error.where
    seconds, memory = time.monotonic() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < SECONDS
    assert memory < MEMORY


def test_a_large_model_is_read_like_a_small_one(tiny_gguf, tmp_path):
    """Reading the header takes no longer for 40 GB than for a small file; the best of several counts."""
    large = tmp_path / "large.gguf"
    large.write_bytes(tiny_gguf.read_bytes())
    with large.open("r+b") as file:
        file.truncate(LARGE_FILE)
    took = {}
    for path in (tiny_gguf, large):
        times = []
        for _ in range(7):
            start = time.perf_counter()
            read_gguf(path)
            times.append(time.perf_counter() - start)
        took[path] = min(times)
    assert took[large] < 3 * took[tiny_gguf] + 0.01
    assert read_gguf(large).shapes == read_gguf(tiny_gguf).shapes
