"""TOML files that people write: read within bounds, with errors that name the line of a key."""

import difflib
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_pack.errors import UsageError
from ollama_pack.files import read_small
from ollama_pack.untrusted import DAMAGE, file_errors

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST_TOML = 1 << 16


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A TOML file.

    Attributes:
        path: the file.
        text: its content as it was written.
        content: its content as tables.
    """

    path: Path
    text: str
    content: dict[str, Any]

    def where(self, *keys: str) -> str:
        """Return the place of a key for a message: the file, the line, and the key with its tables."""
        line = self._line_of(keys)
        place = f"{self.path}, line {line}" if line else str(self.path)
        return f"{place}: {'.'.join(keys)}" if keys else place

    def _line_of(self, keys: tuple[str, ...]) -> int:
        """Return the line on which a key begins, or 0 if the text does not tell it.

        The parser itself says so: it is the line after the longest text of whole lines without the key.
        """
        lines = re.findall(r"[^\n]*\n|[^\n]+", self.text)  # other line ends are none in TOML
        below, above = 0, len(lines)  # without the key, with it
        while below < above - 1:
            middle = (below + above) // 2
            count = middle
            while (found := _holds("".join(lines[:count]), keys)) is None and count > below:
                count -= 1  # the text ends inside a value
            if found:
                above = count
            elif count > below:
                below = count
            else:  # all between are inside of the one value that ends after the middle
                below = middle
        if not _holds("".join(lines[:above]), keys):
            return 0
        return self._start_of_value(lines, above, keys)

    @staticmethod
    def _start_of_value(lines: list[str], last: int, keys: tuple[str, ...]) -> int:
        """Return the line on which the value begins that ends on a line."""
        first = last - 1
        while first > 0 and _holds("".join(lines[:first]), keys) is None:
            first -= 1
        return first + 1

    def table(self, *keys: str) -> dict[str, Any]:
        """Return a table, which is empty if it is not there.

        Raises:
            UsageError: the key has another kind of value.
        """
        found: Any = self.content
        for key in keys:
            found = found.get(key, {}) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise self.error("This must be a table", *keys)
        return found

    def texts(self, *keys: str) -> tuple[str, ...]:
        """Return a list of texts, which is empty if it is not there.

        Raises:
            UsageError: the key has another kind of value.
        """
        found = self.table(*keys[:-1]).get(keys[-1], [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.error("This must be a list of texts", *keys)
        return tuple(found)

    def require_keys(self, known: Collection[str], *tables: str) -> None:
        """Require that a table has no other keys than those that have a meaning.

        Raises:
            UsageError: it has one, which is told with the nearest that exists.
        """
        for key in self.table(*tables):
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                raise UsageError(
                    f"There is no key {key!r} here.",
                    where=self.where(*tables, key),
                    hint=f"write {near[0]}" if near else f"the keys are {', '.join(sorted(known))}",
                    code="unknown-key",
                )

    def error(self, what: str, *keys: str) -> UsageError:
        """Return the error for a value of a wrong kind."""
        return UsageError(f"{what}.", where=self.where(*keys), code="bad-value")


def read_toml(path: Path) -> TomlFile:
    """Return a TOML file.

    Raises:
        InputError: the file cannot be read, is too large, or is not TOML; the parser says where.

    Example:
        >>> read_toml(Path("ollama-pack.toml")).content  # doctest: +SKIP
        {'options': {'base': 'smollm2:135m'}}
    """
    with file_errors(path):
        text = read_small(path, _LARGEST_TOML).decode("utf-8").replace("\r\n", "\n")
        return TomlFile(path, text, tomllib.loads(text))


def _holds(text: str, keys: tuple[str, ...]) -> bool | None:
    """Return whether a text has a key, or None if it is not TOML, as where it was cut."""
    try:
        found: Any = tomllib.loads(text)
    except DAMAGE:
        return None
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    return True
