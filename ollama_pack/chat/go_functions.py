"""The functions of Go templates: those of Go's ``text/template``, and those that Ollama adds.

``and`` and ``or`` are not here: they do not look at all their arguments, so the interpreter has them itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ollama_pack.chat.go_values import (
    GoList,
    GoMap,
    GoValue,
    go_type,
    is_true,
    json_of,
    printed,
)
from ollama_pack.errors import UnsupportedError

_COMPOSED = frozenset({"", "slice", "map", "struct"})
_VERB = re.compile(rb"%(?P<minus>-?)(?P<width>\*|[1-9][0-9]{0,5})?(?P<verb>[sdvt%])")
_WIDEST = 1_000_000
_KINDS = {b"s": ("string",), b"d": ("int",), b"t": ("bool",)}


ANY_NUMBER = 1 << 30
"""Number of arguments of a function that takes any number of them."""


class GoCallError(Exception):
    """A function got arguments that are an error in Go too."""


@dataclass(frozen=True, slots=True)
class GoBuiltin:
    """A function of Go templates.

    Attributes:
        run: the function from its arguments to its result.
        least: the smallest number of arguments.
        most: the largest number of arguments.
        texts: how many of the first arguments must be strings.
    """

    run: Callable[[Sequence[GoValue]], GoValue]
    least: int
    most: int = ANY_NUMBER
    texts: int = 0


def _go_equal(left: GoValue, right: GoValue) -> bool:
    """Return whether two values are the same; nil is comparable with everything."""
    one, other = go_type(left), go_type(right)
    if one and other and one != other:
        raise GoCallError(f"a {one} cannot be compared with a {other}")
    if one not in _COMPOSED or other not in _COMPOSED:
        return left == right if one == other else False
    if _is_nil(left) or _is_nil(right):
        return _is_nil(left) == _is_nil(right)
    if one == "struct":
        raise UnsupportedError("The prompt cannot be computed: a comparison of structs is not supported.")
    raise GoCallError(f"values of the type {one} cannot be compared")


def _is_nil(value: GoValue) -> bool:
    """Return whether Go has nil for a value."""
    return go_type(value) == "" or (isinstance(value, GoList) and value.is_nil)


def _go_less(left: GoValue, right: GoValue) -> bool:
    """Return whether `left` comes first; strings are compared by bytes."""
    for value in (left, right):
        if go_type(value) in _COMPOSED | {"bool"}:
            raise GoCallError("values of this type have no order")
    if isinstance(left, bytes) and isinstance(right, bytes):
        return left < right
    if go_type(left) != go_type(right):
        raise GoCallError(f"a {go_type(left)} cannot be compared with a {go_type(right)}")
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    return left < right


def _equals_any(given: Sequence[GoValue]) -> bool:
    """`eq`: whether the first value equals one of the others."""
    return any(_go_equal(given[0], value) for value in given[1:])


def _length(given: Sequence[GoValue]) -> int:
    """`len` of a string in bytes, of a list or of a map."""
    value = given[0]
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, GoList | GoMap):
        return len(value.items)
    raise GoCallError("len needs a string, a list or a map")


def _position(value: GoValue, most: int) -> int:
    """Return an index in a string or list; the largest that is allowed is `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise GoCallError("an index in a string or list must be a whole number")
    if not 0 <= value <= most:
        raise GoCallError(f"the index {value} is out of range")
    return value


def _index(given: Sequence[GoValue]) -> GoValue:
    """`index`: the element at a chain of indices or keys."""
    value = given[0]
    if go_type(value) == "":
        raise GoCallError("index of nil")
    for place in given[1:]:
        match value:
            case bytes() | GoList():
                items = value if isinstance(value, bytes) else value.items
                value = items[_position(place, len(items) - 1)]
            case GoMap():
                if not isinstance(place, bytes):
                    raise GoCallError("the key of a map must be a string")
                value = value.items.get(place)
            case _:
                raise GoCallError("index needs a string, a list or a map")
    return value


def _slice(given: Sequence[GoValue]) -> GoValue:
    """`slice` of a string or of a list."""
    value = given[0]
    if not isinstance(value, bytes | GoList):
        raise GoCallError("slice needs a string or a list")
    items = value if isinstance(value, bytes) else value.items
    if len(given) == 4:
        if isinstance(value, GoList):
            raise UnsupportedError("The prompt cannot be computed: slice with 3 indices is not supported.")
        raise GoCallError("slice of a string takes at most two indices")
    start, end = (*(_position(place, len(items)) for place in given[1:]), *(0, len(items))[len(given) - 1 :])
    if start > end:
        raise GoCallError(f"slice cannot go from {start} back to {end}")
    if isinstance(value, bytes):
        return value[start:end]
    return GoList(value.items[start:end], is_nil=value.is_nil, as_json=value.as_json)


def _print(given: Sequence[GoValue]) -> bytes:
    """Return what ``print`` makes: a space stands between two values if neither is a string."""
    out = bytearray()
    for at, value in enumerate(given):
        if at and not isinstance(value, bytes) and not isinstance(given[at - 1], bytes):
            out += b" "
        out += printed(value)
    return bytes(out)


def _printf(given: Sequence[GoValue]) -> bytes:
    """`printf` with the verbs that templates use."""
    form, values = given[0], list(given[1:])
    assert isinstance(form, bytes)
    out, at = bytearray(), 0
    while (start := form.find(b"%", at)) >= 0:
        out += form[at:start]
        verb = _VERB.match(form, start)
        if verb is None:
            shown = form[start : start + 6].decode("utf-8", "replace")
            raise UnsupportedError(f"The prompt cannot be computed: printf with {shown!r} is not supported.")
        at = verb.end()
        out += b"%" if verb["verb"] == b"%" else _formatted(verb, values)
    if values:
        raise UnsupportedError("The prompt cannot be computed: printf has more values than verbs.")
    return bytes(out + form[at:])


def _formatted(verb: re.Match[bytes], values: list[GoValue]) -> bytes:
    """Return the next value as a verb of ``printf`` prints it, and take it off the list."""
    stars = verb["width"] == b"*"
    if len(values) < 1 + stars:
        raise UnsupportedError("The prompt cannot be computed: printf has fewer values than verbs.")
    width = values.pop(0) if stars else int(verb["width"] or 0)
    value = values.pop(0)
    kinds = _KINDS.get(verb["verb"], (go_type(value),))
    if isinstance(width, bool) or not isinstance(width, int) or go_type(value) not in kinds:
        raise UnsupportedError(
            f"The prompt cannot be computed: printf of a {go_type(value) or 'nil'} with "
            f"%{verb['verb'].decode()} is not supported."
        )
    if abs(width) > _WIDEST:
        raise UnsupportedError(
            f"The prompt cannot be computed: printf with the width {width} is not supported."
        )
    text = printed(value)
    padding = b" " * (abs(width) - len(text.decode("utf-8", "replace")))
    return text + padding if verb["minus"] or width < 0 else padding + text


GO_BUILTINS: Mapping[str, GoBuiltin] = MappingProxyType(
    {
        "eq": GoBuiltin(_equals_any, 2),
        "ne": GoBuiltin(lambda given: not _go_equal(*given), 2, 2),
        "lt": GoBuiltin(lambda given: _go_less(*given), 2, 2),
        "le": GoBuiltin(lambda given: _go_less(*given) or _go_equal(*given), 2, 2),
        "gt": GoBuiltin(lambda given: not (_go_less(*given) or _go_equal(*given)), 2, 2),
        "ge": GoBuiltin(lambda given: not _go_less(*given), 2, 2),
        "not": GoBuiltin(lambda given: not is_true(given[0]), 1, 1),
        "len": GoBuiltin(_length, 1, 1),
        "index": GoBuiltin(_index, 1),
        "slice": GoBuiltin(_slice, 1, 4),
        "print": GoBuiltin(_print, 0),
        "printf": GoBuiltin(_printf, 1, texts=1),
        "json": GoBuiltin(lambda given: json_of(given[0]), 1, 1),
    }
)
"""The functions by their names, except ``and``, ``or`` and those that need today's date."""

OLLAMA_FUNCTIONS = frozenset({"json", "currentDate", "yesterdayDate"})
"""The functions that Ollama adds to those of Go."""
