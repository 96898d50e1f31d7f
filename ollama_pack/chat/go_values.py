"""The values of a Go template: what they are, when they are true, and how Go prints them.

A Go string is bytes here, because Go counts and cuts strings by bytes. Numbers and booleans are Python's.
``None`` is a nil inside a list or a map, and `NOTHING` is what an unknown key of a map gives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final, Literal, TypeAlias

from ollama_pack.errors import UnsupportedError
from ollama_pack.formats.go_json import encode_go_json


class _Nothing(Enum):
    """The type of `NOTHING`."""

    NOTHING = "no value"


NOTHING: Final = _Nothing.NOTHING
"""The value of a pipeline that has none."""


@dataclass(frozen=True, slots=True, eq=False)
class GoList:
    """A slice of Go.

    Attributes:
        items: its elements.
        is_nil: whether it is nil, which prints and compares differently from an empty list.
        as_json: whether it prints itself as JSON.
    """

    items: "tuple[GoValue, ...]" = ()
    is_nil: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class GoMap:
    """A map of Go with strings as keys and values of any type.

    Attributes:
        items: its values by their keys.
        as_json: whether it prints itself as JSON.
    """

    items: "Mapping[bytes, GoValue]"
    as_json: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class GoStruct:
    """A struct of Go, or a pointer to one.

    Attributes:
        fields: its values by the names of the fields.
        keys: for each field in JSON, in order: its key, its name, and whether it is left out if it is empty.
        as_json: whether it prints itself as JSON.
        is_opaque: whether it cannot be printed as a whole, because Go has a pointer to it or prints it in a
            way of its own.
    """

    fields: "Mapping[str, GoValue]"
    keys: tuple[tuple[str, str, bool], ...] = ()
    as_json: bool = False
    is_opaque: bool = False


GoValue: TypeAlias = bytes | bool | int | float | GoList | GoMap | GoStruct | Literal[_Nothing.NOTHING] | None


def go_value(value: object) -> GoValue:
    r"""Return what Go makes of a value of JSON.

    Args:
        value: a string, number, boolean, None, or a mapping or sequence of them; a Go value stays as it is.

    Example:
        >>> go_value("é")
        b'\xc3\xa9'
    """
    match value:
        case str():
            return value.encode("utf-8", "replace")
        case Mapping():
            return GoMap({str(key).encode("utf-8", "replace"): go_value(value[key]) for key in value})
        case bytes() | bool() | int() | float() | None | GoList() | GoMap() | GoStruct() | _Nothing():
            return value
        case Sequence():
            return GoList(tuple(go_value(item) for item in value))
    raise UnsupportedError(f"A {type(value).__name__} is not a value of a Go template.")


def is_true(value: GoValue) -> bool:
    """Return whether ``if`` takes a value as true."""
    match value:
        case _Nothing() | None:
            return False
        case GoStruct():
            return True
        case GoList() | GoMap():
            return bool(value.items)
    return bool(value)


def go_type(value: GoValue) -> str:
    """Return the kind of a value, as Go's comparisons distinguish them; empty for nil."""
    match value:
        case _Nothing() | None:
            return ""
        case bool():
            return "bool"
        case bytes():
            return "string"
        case int() | float():
            return type(value).__name__
    return {GoList: "slice", GoMap: "map", GoStruct: "struct"}[type(value)]


def printed(value: GoValue) -> bytes:  # noqa: PLR0911 — one for each kind
    """Return how Go's ``fmt`` prints a value with ``%v``.

    Raises:
        UnsupportedError: it is a struct of which Go may print the address.
    """
    if isinstance(value, GoList | GoMap | GoStruct) and value.as_json:
        return json_of(value)
    match value:
        case bytes():
            return value
        case bool():
            return b"true" if value else b"false"
        case int():
            return str(value).encode()
        case float():
            return _printed_float(value).encode()
        case None | _Nothing():
            return b"<nil>"
        case GoList():
            return b"[" + b" ".join(printed(item) for item in value.items) + b"]"
        case GoMap():
            pairs = (key + b":" + printed(value.items[key]) for key in sorted(value.items))
            return b"map[" + b" ".join(pairs) + b"]"
        case GoStruct() if not value.is_opaque:
            return b"{" + b" ".join(map(printed, value.fields.values())) + b"}"
    raise UnsupportedError(
        "The prompt cannot be computed: a struct that is printed as a whole is not supported."
    )


def _printed_float(value: float) -> str:
    """Return the shortest text that reads back as `value`, with an exponent from 1e6 on and below 1e-4."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    sign, figures, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, figures))
    power = exponent + len(digits) - 1
    if value == 0 or -4 <= power < 6:
        return format(Decimal(repr(value)).normalize(), "f")
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if sign else ''}{digits[0]}{tail}e{power:+03d}"


def json_of(value: GoValue) -> bytes:
    """Return the JSON that Ollama's function ``json`` makes of a value.

    Raises:
        UnsupportedError: a string in it is not UTF-8.
    """
    return encode_go_json(_plain(value))[:-1]


def _plain(value: GoValue) -> object:
    """Return a value as Python has it, with the keys of maps sorted."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError as error:
                raise UnsupportedError(
                    "The prompt cannot be computed: a string that is cut inside a character is not supported "
                    "in JSON."
                ) from error
        case GoList():
            return None if value.is_nil else [_plain(item) for item in value.items]
        case GoMap():
            return {str(_plain(key)): _plain(value.items[key]) for key in sorted(value.items)}
        case GoStruct():
            shown = ((key, value.fields[name], omit) for key, name, omit in value.keys)
            return {key: _plain(item) for key, item, omit in shown if is_true(item) or not omit}
        case _Nothing():
            return None
    return value
