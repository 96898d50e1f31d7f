"""JSON that comes from outside, within bounds of values, levels and digits."""

import json
from itertools import chain
from typing import Any

MOST_VALUES = 1 << 22
"""Values in a JSON document. The largest tokenizers have two million; each may take a hundred bytes."""

MOST_DEPTH = 100
"""Levels of lists and objects in a JSON document. Real ones have ten."""

MOST_DIGITS = 300
"""Digits of a whole number in a JSON document, so that each of them fits a float."""


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


def _require_shallow(document: Any) -> None:  # noqa: ANN401 — JSON
    """Raise ValueError if lists and objects are nested more deeply than `MOST_DEPTH`."""
    level = [document] if type(document) in (list, dict) else []
    for _ in range(MOST_DEPTH + 1):
        # A vocabulary has hundreds of thousands of values, so the loop makes no call of ours for each.
        inner = chain.from_iterable(each.values() if type(each) is dict else each for each in level)
        level = [each for each in inner if type(each) is list or type(each) is dict]
        if not level:
            return
    raise ValueError("it is nested too deeply")
