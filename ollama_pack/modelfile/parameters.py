"""The PARAMETERs that Ollama accepts, and how it reads their values.

Source: `Options`, `Runner` and `FormatParams` in Ollama's ``api/types.go``, v0.5.5 to v0.34. Names are
case-sensitive, as in Ollama.
"""

import difflib
import math
import re
import struct
from collections.abc import Mapping
from types import MappingProxyType

ParameterValue = int | float | bool | str | list[str]
INTEGER, FLOAT, BOOLEAN, TEXTS, IGNORED = "integer", "number", "boolean", "text", "ignored"
PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "num_keep": INTEGER,
        "seed": INTEGER,
        "num_predict": INTEGER,
        "top_k": INTEGER,
        "repeat_last_n": INTEGER,
        "num_ctx": INTEGER,
        "num_batch": INTEGER,
        "num_gpu": INTEGER,
        "num_thread": INTEGER,
        "main_gpu": INTEGER,
        "draft_num_predict": INTEGER,
        "temperature": FLOAT,
        "top_p": FLOAT,
        "min_p": FLOAT,
        "typical_p": FLOAT,
        "repeat_penalty": FLOAT,
        "presence_penalty": FLOAT,
        "frequency_penalty": FLOAT,
        "use_mmap": BOOLEAN,
        "stop": TEXTS,
        # Old versions of Ollama use these; current ones ignore them with a warning.
        "penalize_newline": IGNORED,
        "low_vram": IGNORED,
        "f16_kv": IGNORED,
        "logits_all": IGNORED,
        "vocab_only": IGNORED,
        "use_mlock": IGNORED,
        "mirostat": IGNORED,
        "mirostat_tau": IGNORED,
        "mirostat_eta": IGNORED,
    }
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_LARGEST = 2**63 - 1
_DIGITS_OF_INT64 = 19


def text_error(key: str, text: str) -> str:
    """Return what is wrong with ``PARAMETER key text``, or an empty string."""
    if key not in PARAMETERS:
        return f"unknown parameter {key!r}{_did_you_mean(key)}"
    kind = PARAMETERS[key]
    if kind == INTEGER and _integer(text) is None:
        return f"{key} must be a whole number, not {text!r}"
    if kind == FLOAT and _float32(text) is None:
        return f"{key} must be a number, not {text!r}"
    if kind == BOOLEAN and text not in _TRUE | _FALSE:
        return f"{key} must be true or false, not {text!r}"
    return ""


def typed(key: str, text: str) -> int | float | bool | str:
    """Return the value as Ollama stores it; a float is the shortest decimal with the same float32.

    The caller must have checked the text with `text_error`.
    """
    kind = PARAMETERS[key]
    number = _integer(text) if kind == INTEGER else _float32(text) if kind == FLOAT else None
    if number is not None:
        return number
    return text in _TRUE if kind == BOOLEAN else text


def value_error(key: str, value: object) -> str:
    """Return what is wrong with a parameter as Ollama's API receives it, or an empty string.

    A daemon does not check parameters when it creates a model, but then fails every request to that model.
    """
    if key not in PARAMETERS:
        return f"unknown parameter {key!r}{_did_you_mean(key)}"
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        INTEGER: whole and isinstance(value, int) and -_LARGEST - 1 <= value <= _LARGEST,
        FLOAT: whole or (isinstance(value, float) and math.isfinite(value)),
        BOOLEAN: isinstance(value, bool),
        TEXTS: isinstance(value, list | tuple) and all(isinstance(text, str) for text in value),
        IGNORED: True,
    }
    types = {INTEGER: "a whole number", FLOAT: "a number", BOOLEAN: "true or false", TEXTS: "a list of texts"}
    kind = PARAMETERS[key]
    return "" if fits[kind] else f"{key} must be {types[kind]}, not {value!r}"


def _did_you_mean(key: str) -> str:
    """Return, in parentheses, the parameter most similar to `key`, or all of them if none is similar."""
    similar = difflib.get_close_matches(key.lower(), PARAMETERS, n=1)
    if not similar:
        names = ", ".join(name for name, kind in PARAMETERS.items() if kind != IGNORED)
        return f" (the parameters are {names})"
    return f" (did you mean {similar[0]}? Names are in lower case)"


def _integer(text: str) -> int | None:
    """Return a 64-bit integer, or None if the text is not one."""
    # The digits are counted first, because int() raises its own error for thousands of them.
    if not _INTEGER.fullmatch(text) or len(text.lstrip("+-").lstrip("0")) > _DIGITS_OF_INT64:
        return None
    number = int(text)
    return number if -_LARGEST - 1 <= number <= _LARGEST else None


def _float32(text: str) -> float | None:
    """Return the shortest decimal that has the float32 of the text, or None if the text is not a number."""
    # Ollama reads 32 bits and prints the fewest digits that give the same bits, so 0.7 stays 0.7.
    if not _FLOAT.fullmatch(text):
        return None
    try:
        single = struct.pack("<f", float(text))
    except OverflowError:
        return None
    (number,) = struct.unpack("<f", single)
    if not math.isfinite(number):
        return None
    for digits in range(1, 10):
        shorter = float(f"{number:.{digits}g}")
        if _has_bits(shorter, single):
            return shorter
    return float(number)


def _has_bits(number: float, single: bytes) -> bool:
    """Return whether a number, rounded to float32, has these four bytes."""
    try:
        return struct.pack("<f", number) == single
    except OverflowError:
        return False
