"""The PARAMETERs Ollama knows, and how it reads their values.

Source: the `Options` and `Runner` structures of Ollama's API and its `FormatParams`, v0.5.5 to v0.34.
Names are case-sensitive there, so they are here.
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
        # Read by old versions, thrown away with a warning by those of today.
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
        return f"{key} wants a whole number, not {text!r}"
    if kind == FLOAT and _float32(text) is None:
        return f"{key} wants a number, not {text!r}"
    if kind == BOOLEAN and text not in _TRUE | _FALSE:
        return f"{key} wants true or false, not {text!r}"
    return ""


def typed(key: str, text: str) -> int | float | bool | str:
    """Return the value as Ollama stores it; a number is the shortest one with the same float32.

    `text_error` must have found nothing in it.
    """
    kind = PARAMETERS[key]
    number = _integer(text) if kind == INTEGER else _float32(text) if kind == FLOAT else None
    if number is not None:
        return number
    return text in _TRUE if kind == BOOLEAN else text


def value_error(key: str, value: object) -> str:
    """Return what is wrong with a parameter as the API takes it, or an empty string.

    A daemon checks none of them when a model is made, and answers every request with an error afterwards.
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
    wants = {INTEGER: "a whole number", FLOAT: "a number", BOOLEAN: "true or false", TEXTS: "a list of texts"}
    kind = PARAMETERS[key]
    return "" if fits[kind] else f"{key} wants {wants[kind]}, not {value!r}"


def _did_you_mean(key: str) -> str:
    near = difflib.get_close_matches(key.lower(), PARAMETERS, n=1)
    if not near:
        return f" (there are {', '.join(name for name, kind in PARAMETERS.items() if kind != IGNORED)})"
    return f" (did you mean {near[0]}? Names are all lower case)"


def _integer(text: str) -> int | None:
    # Counting digits first: int() refuses thousands of them with an error of its own.
    if not _INTEGER.fullmatch(text) or len(text.lstrip("+-").lstrip("0")) > _DIGITS_OF_INT64:
        return None
    number = int(text)
    return number if -_LARGEST - 1 <= number <= _LARGEST else None


def _float32(text: str) -> float | None:
    # Ollama reads 32 bits and prints the fewest digits that give them back, so 0.7 stays 0.7.
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
        if _is(shorter, single):
            return shorter
    return float(number)


def _is(number: float, single: bytes) -> bool:
    try:
        return struct.pack("<f", number) == single
    except OverflowError:
        return False
