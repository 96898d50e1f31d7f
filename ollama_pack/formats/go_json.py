"""Writes JSON byte for byte as Ollama does, so that equal models have equal digests.

Ollama uses Go's ``encoding/json``, which differs from Python's: it escapes ``<``, ``>`` and ``&``, writes a
whole number without ``.0``, uses exponents from 1e21 on and below 1e-6, and ends a document with a newline.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ollama_pack.errors import InputError

_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def encode_go_json(value: object, *, sort_keys: bool = False) -> bytes:
    """Return the UTF-8 bytes that Go's ``json.Encoder`` writes for `value`, with the final newline.

    Args:
        value: a string, number, boolean, None, or a mapping or sequence of them.
        sort_keys: whether to sort the keys, as Go does for maps; Go keeps the order of struct fields.

    Raises:
        InputError: a number is infinite or NaN, or a value has another type.
    """
    return (_go_value(value, sort_keys=sort_keys) + "\n").encode()


def _go_value(value: object, *, sort_keys: bool) -> str:
    """Return a value as Go's `encoding/json` writes it."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int() | float():
            return _go_number(float(value))
        case str():
            return _go_string(value)
        case Mapping():
            keys = sorted(value, key=lambda key: str(key).encode("utf-8", "replace")) if sort_keys else value
            fields = (f"{_go_string(str(key))}:{_go_value(value[key], sort_keys=sort_keys)}" for key in keys)
            return "{" + ",".join(fields) + "}"
        case Sequence() if not isinstance(value, (bytes, bytearray)):
            return "[" + ",".join(_go_value(item, sort_keys=sort_keys) for item in value) + "]"
    raise InputError(f"{value!r} cannot be written as JSON.")


def _go_string(text: str) -> str:
    """Return a JSON string; like Go, it has U+FFFD in place of a lone surrogate."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(whole, ensure_ascii=False).translate(_ESCAPED)


def _go_number(value: float) -> str:
    """Return the shortest text that reads back as `value`, in the format of Go."""
    if not math.isfinite(value):
        raise InputError(f"JSON has no number {value}.")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)).normalize(), "f")
    mantissa = "".join(map(str, digits))
    power = exponent + len(mantissa) - 1
    fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{fraction}e{power:+d}"
