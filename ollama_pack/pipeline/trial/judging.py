"""Judges an answer by what a case expects of it."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_pack.engine.answers import Said
from ollama_pack.errors import InputError, UsageError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.jobs.limited_process import limited_command
from ollama_pack.pipeline.trial import search_worker
from ollama_pack.pipeline.trial.cases import Case
from ollama_pack.pipeline.trial.yaml_file import INSTALL_TEST
from ollama_pack.shown import reason_of, words_of

SEARCH_SECONDS = 5
"""Seconds of processor time for the patterns of a case."""

SHOWN = 200
"""Number of characters of an answer that a failure shows."""

_SEARCH_MEMORY = 512 << 20
_WALL = 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was expected of an answer.

    Attributes:
        expectation: its name, ``contains``.
        expected: its value, in words.
        got: what was there instead, in words; empty if it holds.
    """

    expectation: str
    expected: str
    got: str = ""

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return not self.got


def judge_answer(case: Case, said: Said, base: Said | None = None) -> tuple[Check, ...]:
    """Return what was expected of an answer, and what was there.

    Args:
        case: the case.
        said: the answer.
        base: the answer of the base; None if there is none, or if the base itself is judged.

    Raises:
        InputError: a pattern or a schema is wrong, or a pattern takes too much time.
        UsageError: a schema is expected, and jsonschema is not installed.
    """
    return tuple(
        check for key, value in case.expected.items() for check in _JUDGES[key](case, value, said, base)
    )


def shown_answer(text: str) -> str:
    """Return an answer as a failure shows it: on one line, and cut."""
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else f"{line[:SHOWN]}…")


def _each(value: str | list[str]) -> list[str]:
    """Return one text, or several, as a list."""
    return [value] if isinstance(value, str) else value


def _contains(_case: Case, value: Any, said: Said, _base: Said | None) -> Iterator[Check]:  # noqa: ANN401
    """Check that the answer has each text."""
    for text in _each(value):
        yield Check("contains", repr(text), "" if text in said.text else shown_answer(said.text))


def _lacks(_case: Case, value: Any, said: Said, _base: Said | None) -> Iterator[Check]:  # noqa: ANN401
    """Check that the answer has none of the texts."""
    for text in _each(value):
        yield Check("not_contains", repr(text), shown_answer(said.text) if text in said.text else "")


def _matches(case: Case, value: Any, said: Said, _base: Said | None) -> Iterator[Check]:  # noqa: ANN401
    """Check that each pattern is found in the answer."""
    patterns = _each(value)
    for pattern, found in zip(patterns, _searched(case, patterns, said.text), strict=True):
        yield Check("matches", repr(pattern), "" if found else shown_answer(said.text))


def _equals(_case: Case, value: str, said: Said, _base: Said | None) -> Iterator[Check]:
    """Check that the answer is this text, but for white space around it."""
    same = said.text.strip() == value.strip()
    yield Check("equals", repr(value), "" if same else shown_answer(said.text))


def _is_short(_case: Case, value: int, said: Said, _base: Said | None) -> Iterator[Check]:
    """Check that the answer has at most so many tokens."""
    yield Check("max_tokens", f"at most {value}", "" if said.tokens <= value else f"{said.tokens} tokens")


def _differs(_case: Case, value: bool, said: Said, base: Said | None) -> Iterator[Check]:
    """Check that the answer differs from that of the base, or does not."""
    if base is not None:
        differs, words = said.text != base.text, "another answer" if value else "the answer of the base"
        yield Check("differs_from_base", words, "" if differs == value else shown_answer(said.text))


def _ends(_case: Case, value: bool, said: Said, _base: Said | None) -> Iterator[Check]:
    """Check that the answer ended by itself, or did not."""
    got = "it ended by itself" if said.ended else f"it was cut off after {said.tokens} tokens"
    yield Check("stops", "an end by itself" if value else "no end", "" if said.ended == value else got)


def _fits_schema(case: Case, value: Mapping[str, Any], said: Said, _base: Said | None) -> Iterator[Check]:
    """Check that the answer is JSON that fits a schema."""
    try:
        import jsonschema
        import referencing
    except ImportError as error:
        raise UsageError(
            "json_schema needs jsonschema, which is not installed.", hint=INSTALL_TEST, code="extra-missing"
        ) from error
    kind, words = jsonschema.Draft202012Validator, json.dumps(value)
    try:
        kind.check_schema(value)
        document = parse_json(said.text)
    except jsonschema.SchemaError as error:
        raise InputError(
            f"This is not a JSON schema: {words_of(error.message)}.", where=f"{case.name}: json_schema"
        ) from error
    except (ValueError, RecursionError) as error:
        yield Check("json_schema", words, f"no JSON ({reason_of(error)}): {shown_answer(said.text)}")
        return
    try:
        # An empty registry: no schema is fetched from anywhere.
        wrong = next(kind(value, registry=referencing.Registry()).iter_errors(document), None)
    except referencing.exceptions.Unresolvable as error:
        raise InputError(
            "The JSON schema refers to another schema, and none is fetched.",
            where=f"{case.name}: json_schema",
        ) from error
    yield Check("json_schema", words, wrong.message if wrong else "")


Judge = Callable[[Case, Any, Said, Said | None], Iterator[Check]]

_JUDGES: Mapping[str, Judge] = {
    "contains": _contains,
    "not_contains": _lacks,
    "matches": _matches,
    "equals": _equals,
    "json_schema": _fits_schema,
    "max_tokens": _is_short,
    "differs_from_base": _differs,
    "stops": _ends,
}


def _searched(case: Case, patterns: list[str], text: str) -> list[bool]:
    """Return which patterns are in a text, which a process with limits finds.

    Raises:
        InputError: a pattern is no regular expression, or takes too much time.
    """
    command = limited_command(
        search_worker.__file__, memory=_SEARCH_MEMORY, seconds=SEARCH_SECONDS, bare=True
    )
    asked = json.dumps([(pattern, text) for pattern in patterns]).encode()
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=_WALL, check=False).stdout
    except subprocess.TimeoutExpired as error:
        done = error.stdout or b""
    found = [parse_json(line) for line in done.splitlines(keepends=True) if line.endswith(b"\n")]
    for pattern, answer in zip(patterns, found, strict=False):
        if isinstance(answer, str):
            raise InputError(
                f"{pattern!r} is not a regular expression ({words_of(answer)}).",
                where=f"{case.name}: matches",
            )
    if len(found) < len(patterns):
        raise InputError(
            f"The answer cannot be searched for {patterns[len(found)]!r} within {SEARCH_SECONDS} seconds.",
            where=f"{case.name}: matches",
        )
    return [bool(each) for each in found]
