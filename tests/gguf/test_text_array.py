"""An array of texts is read as its definition says, whatever is in it, wherever it is cut."""

import mmap
import struct
import tempfile
from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from ollama_pack.gguf import text_array
from ollama_pack.gguf.text_array import read_texts

PLAIN = st.text(min_size=1, max_size=9).map(str.encode)
AWKWARD = st.sampled_from(
    (b"", b"\0", bytes(7), bytes(8), bytes(20), b"x" + bytes(7), b"\1" + bytes(7) + b"y", b"z" * 256, b"\xff")
)
TEXTS = st.lists(st.one_of(PLAIN, PLAIN, PLAIN, AWKWARD), max_size=80)


def written(texts: Iterable[bytes]) -> bytes:
    """Return an array of texts as GGUF has it."""
    return b"".join(struct.pack("<Q", len(text)) + text for text in texts)


def read(
    content: bytes, start: int, length: int, *, keep: bool = True, most: int = 1 << 24
) -> tuple[tuple[str, ...], int, int]:
    """Return what is read of a file with this content."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return read_texts(data, start, length, keep=keep, most=most)


@given(TEXTS, st.binary(min_size=1, max_size=9), st.binary(max_size=40), st.integers(9, 200))
@example([b"token"] * 40, b"GGUF", b"", 30)
@example([b"a" + bytes(7)] * 3 + [b""] * 20, b"\0", bytes(30), 1 << 18)
def test_texts_come_as_they_were_written(texts, before, after, block):
    """Whatever texts contain, and wherever a block ends, they are read as they were written."""
    old, text_array.BLOCK = text_array.BLOCK, block
    try:
        content = before + written(texts) + after
        found, position, kept = read(content, len(before), len(texts))
        assert found == tuple(text.decode("utf-8", "replace") for text in texts)
        assert position == len(before) + len(written(texts))
        assert kept == sum(map(len, texts))
        assert read(content, len(before), len(texts), keep=False) == ((), position, 0)
    finally:
        text_array.BLOCK = old


@given(TEXTS.filter(bool), st.data())
def test_a_file_that_is_cut_ends_behind_its_end(texts, data):
    """An array that the file does not hold whole has no texts."""
    content = written(texts)
    cut = data.draw(st.integers(1, len(content) - 1))
    found, position, _ = read(content[:cut], 0, len(texts))
    assert position > cut
    assert found == ()


@given(st.lists(st.one_of(PLAIN, AWKWARD), min_size=1, max_size=60).filter(any), st.data())
def test_no_more_is_kept_than_allowed(texts, data):
    """An array with more bytes than allowed has no texts."""
    size = sum(map(len, texts))
    most = data.draw(st.integers(0, size - 1))
    found, _, kept = read(written(texts), 0, len(texts), most=most)
    assert found == ()
    assert kept > most


def test_a_length_that_lies_asks_for_no_memory():
    """A length of 2 to the power of 62 is one behind the end of the file."""
    content = written([b"token"] * 100) + struct.pack("<Q", 1 << 62)
    found, position, _ = read(content, 0, 101)
    assert found == ()
    assert position > len(content)


def test_many_long_texts_are_not_looked_for_again_and_again(monkeypatch):
    """A header of long texts costs few searches for short ones."""
    looks = []
    found = text_array._short_texts
    monkeypatch.setattr(text_array, "_short_texts", lambda *given: looks.append(1) or found(*given))
    assert len(read(written([b"x" * 300] * 50_000), 0, 50_000)[0]) == 50_000
    assert len(looks) < 20
