"""JSON that comes from outside: parsed within bounds of values, levels and digits, and checked by its shape.

A reader of such a document states what each value must be (`as_mapping`, `as_whole`), and `file_errors`
turns what these functions raise into the error of the file. tests/test_house.py looks for JSON that is parsed
in another way.
"""

import contextlib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_pack.errors import InputError
from ollama_pack.shown import reason_of

MOST_VALUES = 1 << 22
"""Most values in a JSON document. The largest tokenizers have two million; each may take a hundred bytes."""

MOST_DEPTH = 100
"""Most levels of lists and objects in a JSON document. Real ones have ten."""

MOST_DIGITS = 300
"""Most digits of a whole number in a JSON document, so that each number fits a float."""


LARGEST_WHOLE = (1 << 63) - 1
"""The largest size or count in a document of Ollama, which is written in Go."""


class ShapeError(ValueError):
    """A value of a document is of another kind than its reader needs; the text names its key."""


DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, LookupError, ArithmeticError, EOFError, RecursionError, MemoryError, struct.error),
)
"""What reading untrusted bytes may raise. A TypeError is a bug: shapes are checked before."""


@contextlib.contextmanager
def file_errors(path: object, *more: type[Exception]) -> Iterator[None]:
    """Turn what reading a file raises inside the block into the error of that file.

    Args:
        path: the file.
        more: further errors that a library raises for damaged bytes.

    Raises:
        InputError: the file is damaged, or cannot be read.
    """
    try:
        yield
    except ShapeError as error:
        raise InputError(f"The file does not have the expected form: {error}.", where=path) from error
    except OSError as error:
        raise InputError(f"Cannot read the file: {reason_of(error)}.", where=path) from error
    except (*DAMAGE, *more) as error:
        raise InputError(f"The file is damaged ({reason_of(error)}).", where=path) from error


def as_mapping(value: object, key: str) -> dict[str, Any]:
    """Return a value that must be an object.

    Args:
        value: the value.
        key: its place in the document, for the message.

    Raises:
        ShapeError: it is not an object.

    Example:
        >>> as_mapping([1], "model_info")
        Traceback (most recent call last):
        ollama_pack.formats.untrusted_json.ShapeError: model_info is not an object
    """
    if not isinstance(value, dict):
        raise ShapeError(f"{key} is not an object")
    return value


def as_list(value: object, key: str) -> list[Any]:
    """Return a value that must be a list; it raises what `as_mapping` raises."""
    if not isinstance(value, list):
        raise ShapeError(f"{key} is not a list")
    return value


def as_text(value: object, key: str) -> str:
    """Return a value that must be a text; it raises what `as_mapping` raises."""
    if not isinstance(value, str):
        raise ShapeError(f"{key} is not a text")
    return value


def as_whole(value: object, key: str) -> int:
    """Return a value that must be a whole number of 0 to `LARGEST_WHOLE`; it raises a ShapeError."""
    if type(value) is not int or not 0 <= value <= LARGEST_WHOLE:
        raise ShapeError(f"{key} is not a whole number")
    return value


def optional(document: Mapping[str, Any], key: str, empty: Any) -> Any:  # noqa: ANN401 — JSON
    """Return a value of the same kind as `empty`, which stands for one that is missing or null.

    Go leaves empty fields out, and writes null for an empty list.

    Raises:
        ShapeError: the value is of another kind.

    Example:
        >>> optional({"size": None}, "size", 0)
        0
    """
    checks: dict[type, Any] = {dict: as_mapping, list: as_list, str: as_text, int: as_whole}
    value = document.get(key)
    return empty if value is None else checks[type(empty)](value, key)


def parse_object(content: str | bytes) -> dict[str, Any]:
    """Return the object that JSON text holds.

    Raises:
        ValueError: it is not JSON, not an object, or beyond the bounds.
    """
    return as_mapping(parse_json(content), "the document")


def parse_json(content: str | bytes, *, unique: bool = False) -> Any:  # noqa: ANN401 — JSON
    """Return the document that JSON text holds.

    Args:
        content: the text, or its bytes in UTF-8.
        unique: whether a name may occur only once in an object. Readers differ in which of two counts.

    Raises:
        ValueError: it is not JSON, has too many values or levels, or a whole number with too many digits.
    """
    text = content if isinstance(content, str) else content.decode("utf-8")
    if len(text) > MOST_VALUES < text.count(",") + text.count("[") + text.count("{"):
        raise ValueError(f"it has more than {MOST_VALUES} values")
    try:
        document = json.loads(
            text,
            # A call of ours for each of 50,000 ids costs as much as parsing them.
            parse_int=_whole if _has_long_digits(text) else None,
            object_pairs_hook=_without_duplicates if unique else None,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _require_shallow(document)
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object in which no name occurs twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"{max(counts, key=counts.__getitem__)!r:.80} occurs twice")
    return found


def _has_long_digits(text: str) -> bool:
    """Return whether more than `MOST_DIGITS` digits stand in a row: then a multiple of that falls on one."""
    digits = "0123456789"
    for at in range(0, len(text), MOST_DIGITS):
        if text[at].isdecimal():
            before, after = text[max(at - MOST_DIGITS, 0) : at], text[at : at + MOST_DIGITS + 1]
            row = len(before) - len(before.rstrip(digits)) + len(after) - len(after.lstrip(digits))
            if row > MOST_DIGITS:
                return True
    return False


def _whole(written: str) -> int:
    """Return a whole number; one that no float can hold is rejected."""
    if len(written) > MOST_DIGITS:
        raise ValueError(f"a number has {len(written)} digits")
    return int(written)


def _require_shallow(document: Any) -> None:  # noqa: ANN401 — JSON
    """Raise ValueError if lists and objects are nested more deeply than `MOST_DEPTH`."""
    containers = {dict, list}
    level = [document] if type(document) in containers else []
    for _ in range(MOST_DEPTH + 1):
        inner: list[Any] = []
        for each in level:
            inner.extend(each.values() if type(each) is dict else each)
        # A vocabulary has hundreds of thousands of values, so a loop in C looks at each of them first.
        if containers.isdisjoint(map(type, inner)):
            return
        level = [each for each in inner if type(each) in containers]
    raise ValueError("it is nested too deeply")
