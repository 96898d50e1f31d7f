"""What comes from outside: the edge where a damaged input becomes an error, and JSON checked by its shape.

A stranger's file, daemon or registry may send anything. Whoever reads it puts `as_damaged` around the
reading, so that whatever a parser raises becomes the error of that file. `parse_json` bounds what a JSON
document may make of its bytes; `member` and `as_object` take values of the expected type out of it.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from ollama_pack.errors import PackError

READING_FAILS = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError),
    *(NotImplementedError, OSError, RecursionError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
"""What a parser of damaged bytes may raise."""

MOST_VALUES = 1 << 22
"""Values in a JSON document. The largest tokenizers have two million; each may take a hundred bytes."""

MOST_DEPTH = 100
"""Levels of lists and objects in a JSON document. Real ones have ten."""

MOST_DIGITS = 300
"""Digits of a whole number in a JSON document, so that each of them fits a float."""

T = TypeVar("T")


@contextmanager
def as_damaged(make: Callable[[str], PackError]) -> Iterator[None]:
    """Turn whatever a reader raises inside the block into an error of this package; its own errors pass.

    Args:
        make: returns the error from the reason, which is a clause.

    Raises:
        PackError: what `make` returns, or an error of this package that was raised inside the block.
    """
    try:
        yield
    except READING_FAILS as error:
        raise make(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Return why a parser failed, in one line."""
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return f"{text or type(error).__name__:.200}"


def parse_json(content: str | bytes) -> Any:  # noqa: ANN401 — JSON
    """Return the document that JSON text holds.

    Raises:
        ValueError: it is not JSON, has too many values or levels, or a whole number with too many digits.
    """
    text = content if isinstance(content, str) else content.decode("utf-8")
    if text.count(",") + text.count("[") + text.count("{") > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES} values")
    try:
        document = json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _require_shallow(document)
    return document


def _whole(digits: str) -> int:
    """Return a whole number; one that no float can hold is refused."""
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _require_shallow(document: object) -> None:
    """Raise ValueError if lists and objects are nested more deeply than `MOST_DEPTH`."""
    level = [document]
    for _ in range(MOST_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, list | dict)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if type(child) in (list, dict)
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def as_object(value: object, what: str = "the document") -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: the value is none.
    """
    if not isinstance(value, dict):
        _refuse(what, "an object", value)
    return value


def member(holder: Mapping[str, Any], key: str, kind: type[T], default: T | None = None) -> T:
    """Return the value of a key in a JSON object; null counts as missing.

    Args:
        holder: the object.
        key: the key.
        kind: the type that the value must have: `str`, `int`, `float`, `bool`, `list` or `dict`. A whole
            number is also a float, and true and false are no numbers.
        default: the value of a key that is missing; without one, the key must be there.

    Raises:
        ValueError: the key is missing, or its value has another type.

    Example:
        >>> member({"size": 3}, "size", int), member({}, "from", str, "")
        (3, '')
    """
    value = holder.get(key)
    if value is None:
        if default is None:
            raise ValueError(f"{key} is missing")
        return default
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        _refuse(key, _NAMES.get(kind, kind.__name__), value)
    return value


_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _refuse(what: str, kind: str, value: object) -> NoReturn:
    raise ValueError(f"{what} is {value!r:.40}, not {kind}")
