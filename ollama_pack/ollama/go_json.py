"""JSON with the bytes Ollama writes, so that equal models have equal digests.

Ollama is written in Go, whose encoder differs from Python's: ``<``, ``>`` and ``&`` are escaped, a number
that is whole has no ``.0``, exponents begin at 1e21 and below 1e-6, and a document ends with a newline.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ollama_pack.errors import InputError

_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def encode_go_json(value: object, *, sort_keys: bool = False) -> bytes:
    """Return `value` as Go's ``json.Encoder`` writes it, newline and all.

    Args:
        value: strings, numbers, booleans, None, mappings and sequences of them.
        sort_keys: as Go does with maps; the fields of a Go struct keep their order instead.

    Raises:
        InputError: a number JSON cannot hold, or a value of another type.
    """
    return (_go_value(value, sort_keys=sort_keys) + "\n").encode()


def _go_value(value: object, *, sort_keys: bool) -> str:
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
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(whole, ensure_ascii=False).translate(_ESCAPED)


def _go_number(value: float) -> str:
    """Return the shortest text that reads back as `value`, the way Go spells it."""
    if not math.isfinite(value):
        raise InputError(f"{value} is not a number JSON can hold.")
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
