"""Reads the constants of a Go template: strings, characters and numbers, by the rules of Go's ``strconv``."""

import re

from ollama_pack.chat.go_tokens import GoToken, template_line
from ollama_pack.errors import InputError, UnsupportedError

_ESCAPE = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\"'])|(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})
    |u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.|$))""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = dict(zip("abfnrtv\\\"'", b"\a\b\f\n\r\t\v\\\"'", strict=True))
_INT64_LIMIT = 1 << 63


def literal_value(token: GoToken) -> bytes | bool | int | float | None:
    r"""Return what a constant stands for; strings are bytes, as in Go.

    Args:
        token: a token of kind ``string``, ``raw``, ``char``, ``number``, ``bool`` or ``nil``.

    Raises:
        InputError: Go does not accept it.
        UnsupportedError: a number is complex.

    Example:
        >>> literal_value(GoToken("string", r'"a\n"', 1)), literal_value(GoToken("number", "0x10", 1))
        (b'a\\n', 16)
    """
    match token.kind:
        case "bool":
            return token.text == "true"
        case "string":
            return _unquoted(token, '"')
        case "raw":
            return token.text[1:-1].replace("\r", "").encode("utf-8", "replace")
        case "char":
            return _character(token)
        case "number":
            return _number(token)
    return None


def _unquoted(token: GoToken, quote: str) -> bytes:
    """Return the bytes of a string or character between quotes."""
    out, at, text = bytearray(), 1, token.text[:-1]
    for escape in _ESCAPE.finditer(text, 1):
        out += text[at : escape.start()].encode("utf-8", "replace")
        at = escape.end()
        out += _escaped(escape, quote, token)
    return bytes(out + text[at:].encode("utf-8", "replace"))


def _escaped(escape: re.Match[str], quote: str, token: GoToken) -> bytes:
    """Return the bytes of an escape sequence."""
    if simple := escape["simple"]:
        if simple not in "\"'" or simple == quote:
            return bytes((_SIMPLE[simple],))
    elif number := escape["octal"]:
        if int(number, 8) < 256:
            return bytes((int(number, 8),))
    elif number := escape["byte"]:
        return bytes((int(number, 16),))
    elif number := escape["short"] or escape["long"]:
        code = int(number, 16)
        if code <= 0x10FFFF and not 0xD800 <= code < 0xE000:
            return chr(code).encode()
    raise _bad_literal(token)


def _character(token: GoToken) -> int:
    """Return the code point of a character literal."""
    inner = token.text[1:-1]
    escape = _ESCAPE.fullmatch(inner)
    if escape and (number := escape["octal"] or escape["byte"]):
        value = int(number, 16 if escape["byte"] else 8)
        if value < 256:
            return value
    text = _unquoted(token, "'").decode("utf-8", "replace") if escape or len(inner) == 1 else ""
    if len(text) != 1:
        raise _bad_literal(token)
    return ord(text)


def _number(token: GoToken) -> int | float:
    """Return the value of a number literal, as Go reads it."""
    text = token.text
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    try:
        if re.fullmatch(r"0[xXbBoO].*", digits):
            value: int | float = int(digits, 0)
        elif re.search(r"[.eE]", digits):
            if "_" in digits:
                raise _bad_literal(token)
            value = float(digits)
            if value == float("inf"):
                raise _bad_literal(token)
        elif digits[0] == "0" and len(digits) > 1:
            value = int(digits) if set(digits) & set("89") else int(digits, 8)
        else:
            value = int(digits)
    except ValueError as error:
        raise _bad_literal(token) from error
    value = -value if sign == "-" else value
    if isinstance(value, int) and not -_INT64_LIMIT <= value < _INT64_LIMIT:
        raise UnsupportedError(
            f"The prompt cannot be computed: the number {text} is too large.", where=template_line(token.line)
        )
    return value


def _bad_literal(token: GoToken) -> InputError:
    """Return the error for a constant that Go does not accept."""
    return InputError(
        f"The Go template is damaged: {token.text:.40} is not a valid {token.kind}.",
        where=template_line(token.line),
    )
