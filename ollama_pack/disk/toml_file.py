"""TOML files that people write: read within bounds, with errors that name the line of a key."""

import difflib
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import read_small
from ollama_pack.errors import UsageError
from ollama_pack.formats.untrusted_json import file_errors

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST_TOML = 1 << 16
_TOML_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[][{}\n]',
    re.DOTALL,
)
"""Strings and comments, in which brackets and line ends mean nothing, and all other brackets and line
ends."""


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
        line = _lines_of_keys(self.text).get(keys, 0)
        place = f"{self.path}, line {line}" if line else str(self.path)
        return f"{place}: {'.'.join(keys)}" if keys else place

    def table(self, *keys: str) -> dict[str, Any]:
        """Return the table of a key; a missing one counts as empty.

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
        """Return the list of texts of a key; a missing one counts as empty.

        Raises:
            UsageError: the key has another kind of value.
        """
        found = self.table(*keys[:-1]).get(keys[-1], [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.error("This must be a list of texts", *keys)
        return tuple(found)

    def require_keys(self, known: Collection[str], *tables: str) -> None:
        """Require that a table has only known keys.

        Raises:
            UsageError: it has another one; the hint names the most similar known key.
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


@lru_cache(maxsize=4)
def _lines_of_keys(text: str) -> dict[tuple[str, ...], int]:
    """Return the line on which each key begins, in a text that the parser has accepted.

    Each statement is parsed once more by itself, so the work grows with the text, not with the number of
    keys.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    line = 1
    for statement in _statements(text):
        keys = list(_keys_of(tomllib.loads(statement)))
        if statement.lstrip().startswith("["):
            table, below = max(keys, key=len), keys
        else:
            below = [(*table, *each) for each in keys]
        for each in below:
            lines.setdefault(each, line)
        line += statement.count("\n")
    return lines


def _statements(text: str) -> Iterator[str]:
    """Yield the statements of a TOML text; a line without one, such as a comment, is yielded, too.

    A statement ends at the first line end that is outside strings and brackets.
    """
    begin = depth = 0
    for token in _TOML_TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if token[0] == "\n" and not depth:
            yield text[begin : token.end()]
            begin = token.end()
    yield text[begin:]


def _keys_of(table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key in nested tables: the keys of its tables, then the key itself."""
    for key, value in table.items():
        yield (key,)
        if isinstance(value, Mapping):
            yield from ((key, *below) for below in _keys_of(value))
