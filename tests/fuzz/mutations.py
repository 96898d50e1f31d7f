"""Inputs for readers: mutations of real files, and documents of any shape.

A mutation is made from one number, so that hypothesis can repeat it and a report can name it.
"""

import json
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

LARGEST_INPUT = 1 << 16
"""Most bytes of an input. What is larger than a reader's bounds has tests of its own."""

WORDS = (
    *(
        b"\0",
        b"\xff",
        b"\n",
        b"\r\n",
        b'"',
        b"'",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b"{{",
        b"}}",
        b"{%",
        b"%}",
        b",",
    ),
    *(b"-1", b"1e999", b"9" * 40, b"9" * 400, b"Infinity", b"NaN", b"null", b"true", b"\\ud800", b"\x1b[31m"),
    *(
        b"/",
        b"../",
        b"~x/",
        b":",
        b"#",
        b"<script>",
        "\u202e".encode(),
        "\u212a".encode(),
        b"\xed\xa0\x80",
        b"PK\x05\x06",
    ),
)
"""Bytes that mean something to one of the readers."""

SIZES = (
    0,
    1,
    127,
    128,
    255,
    256,
    1 << 15,
    1 << 16,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 62,
    (1 << 64) - 1,
)
ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        2**31,
        2**63,
        2**64,
        10**299,
        1e308,
        -1e308,
        float("inf"),
        float("nan"),
    ),
    *(
        "",
        "x",
        "a.b",
        "../x",
        "/",
        "~nobody/x",
        "\0",
        "\ud800",
        "<script>alert(1)</script>",
        "\x1b]0;x\x07",
        "(",
        "9" * 400,
    ),
    *(
        [],
        [1],
        [None],
        [[]],
        ["x"],
        [{}],
        {},
        {"a": 1},
        {"": None},
        {"size": 1e999},
        [0] * 100,
        {"a": {"b": {"c": []}}},
    ),
)
"""Values that stand in the place of others."""


def mutated_bytes(randomness: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a real file with some bytes changed, moved, repeated, taken from another one, or cut off."""
    content = bytearray(randomness.choice(seeds))
    for _ in range(1 + int(randomness.expovariate(0.5))):
        at = randomness.randrange(len(content) + 1)
        if randomness.random() < 0.5:  # most formats decide at their beginning
            at = min(at, randomness.randrange(256))
        length = randomness.choice((1, 1, 2, 4, 8, 16, 100))
        match randomness.randrange(8):
            case 0:
                content[at : at + 1] = bytes([randomness.randrange(256)])
            case 1:
                content[at : at + randomness.choice((0, length))] = randomness.choice(WORDS)
            case 2:
                width = randomness.choice((1, 2, 4, 8))
                number = randomness.choice(SIZES) & ((1 << (8 * width)) - 1)
                content[at : at + width] = number.to_bytes(width, "little")
            case 3:
                del content[at : at + length]
            case 4:
                content[at:at] = content[at : at + length] * randomness.choice((1, 2, 50))
            case 5:
                other = randomness.choice(seeds)
                place = randomness.randrange(len(other) + 1)
                content[at : at + length] = other[place : place + length * 4]
            case 6:
                del content[at:]
            case _:
                content[at : at + length] = randomness.randbytes(length)
    return bytes(content[:LARGEST_INPUT])


def mutated_json(randomness: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a real document with some values replaced, removed, renamed, repeated, or nested."""
    document = json.loads(randomness.choice(seeds))
    for _ in range(1 + int(randomness.expovariate(0.7))):
        document = _changed(randomness, document, randomness.randrange(6))
    text = json.dumps(document, ensure_ascii=randomness.random() < 0.9)
    return text.encode("utf-8", "surrogatepass")[:LARGEST_INPUT]


def _changed(randomness: random.Random, value: Any, depth: int) -> Any:
    """Return a document with one place in it changed, at most so many levels down."""
    if isinstance(value, dict) and value and depth:
        key = randomness.choice(list(value))
        return {**value, key: _changed(randomness, value[key], depth - 1)}
    if isinstance(value, list) and value and depth:
        at = randomness.randrange(len(value))
        return [*value[:at], _changed(randomness, value[at], depth - 1), *value[at + 1 :]]
    odd = randomness.choice(ODD_VALUES)
    if isinstance(value, dict) and value:
        key = randomness.choice(list(value))
        changes: tuple[Any, ...] = (
            {name: each for name, each in value.items() if name != key},
            {**value, str(odd): value[key]},
            {**value, key: odd},
            {**value, key: value},
        )
        return randomness.choice(changes)
    if isinstance(value, list) and value:
        return randomness.choice(([*value, odd], value * 2, value[1:], [value], [*reversed(value)]))
    return randomness.choice((odd, [value], {"x": value}, value))


def mutation(randomness: random.Random, seeds: Sequence[bytes], *, is_json: bool) -> bytes:
    """Return a mutation of a real file; most of those of JSON are JSON again."""
    if is_json and randomness.random() < 0.7:
        return mutated_json(randomness, seeds)
    return mutated_bytes(randomness, seeds)


def mutations(seeds: Sequence[bytes], *, is_json: bool = False) -> st.SearchStrategy[bytes]:
    """Return a strategy of mutations of real files."""
    numbers = st.integers(0, (1 << 64) - 1)
    return numbers.map(lambda number: mutation(random.Random(number), seeds, is_json=is_json))


def documents(keys: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Return a strategy of JSON documents that have some of these keys, with values of any shape."""
    values = st.recursive(
        st.sampled_from(ODD_VALUES) | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys) | st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=8,
    )
    objects = st.dictionaries(st.sampled_from(keys), values, max_size=6)
    return (objects | values).map(lambda it: json.dumps(it).encode("utf-8", "surrogatepass"))


def texts(words: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Return a strategy of texts that are made of the words of a language."""
    pieces = st.lists(st.sampled_from(words) | st.text(max_size=4), max_size=25)
    return pieces.map(lambda it: "".join(it).encode("utf-8", "surrogatepass"))
