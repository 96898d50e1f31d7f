"""Reads the cases that a model is tested with: questions, and what must hold of the answers.

docs/cases.schema.json is the published form of such a file, and docs/testing.md describes it.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_pack.chat.trained import Conversation
from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import file_errors
from ollama_pack.pipeline.trial.messages import conversation_of, json_lines_of
from ollama_pack.pipeline.trial.yaml_file import yaml_document


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation, and what must hold of the answer.

    Attributes:
        name: what it is called.
        conversation: the messages, the last of which is answered.
        expected: expectation → its value.
    """

    name: str
    conversation: Conversation
    expected: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FigureCase:
    """A file of conversations, and how likely its answers must be.

    Attributes:
        name: what it is called.
        file: the file, with one conversation on each line.
        perplexity_at_most: the largest perplexity of the adapted model, or None.
        better_than_base_by: the amount by which its loss per token must be below that of the base, or None.
    """

    name: str
    file: Path
    perplexity_at_most: float | None = None
    better_than_base_by: float | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of a file.

    Attributes:
        path: the file.
        cases: the questions.
        figures: the files of conversations.
    """

    path: Path
    cases: tuple[Case, ...] = ()
    figures: tuple[FigureCase, ...] = field(default=())


def _are_texts(value: object) -> bool:
    """Return whether a value is a text, or a list of texts that is not empty."""
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
    )


def _is_number(value: object) -> bool:
    """Return whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


EXPECTATIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "contains": (_are_texts, "a text or a list of texts"),
    "not_contains": (_are_texts, "a text or a list of texts"),
    "matches": (_are_texts, "a regular expression or a list of them"),
    "equals": (lambda value: isinstance(value, str), "a text"),
    "json_schema": (lambda value: isinstance(value, dict), "a JSON schema"),
    "max_tokens": (
        lambda value: isinstance(value, int) and value is not True and value > 0,
        "a whole number",
    ),
    "differs_from_base": (lambda value: isinstance(value, bool), "true or false"),
    "stops": (lambda value: isinstance(value, bool), "true or false"),
}
"""What may be expected of an answer → whether a value of it has the right form, and that form in words."""

_FIGURES = ("perplexity_at_most", "better_than_base_by")
_CASE_KEYS = ("name", "prompt", "system", "messages", "tools", *EXPECTATIONS)
_FIGURE_KEYS = ("name", "file", *_FIGURES)


def read_cases(path: Path) -> CaseFile:
    """Return the cases of a file: YAML, or JSON lines with one case on each line.

    Raises:
        InputError: the file cannot be read, or a case has another form.
        UsageError: the file is YAML, and PyYAML is not installed.
    """
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        entries = [(f"line {number}", value) for number, value in json_lines_of(path)]
    else:
        entries = _yaml_entries(path)
    cases: list[Case] = []
    figures: list[FigureCase] = []
    for at, entry in entries:
        where = f"{path}: {at}"
        if not isinstance(entry, Mapping):
            raise InputError("A case must be an object.", where=where)
        if "file" in entry:
            figures.append(_read_figure(entry, path, where))
        else:
            cases.append(_read_case(entry, where))
    if not cases and not figures:
        raise InputError("The file has no case.", where=path)
    _require_own_names([*(each.name for each in cases), *(each.name for each in figures)], path)
    return CaseFile(path, tuple(cases), tuple(figures))


def _yaml_entries(path: Path) -> list[tuple[str, Any]]:
    """Return the cases of a YAML file, each with its place."""
    with file_errors(path):
        content = path.read_bytes()
    document = yaml_document(content, path)
    if not isinstance(document, Mapping) or not isinstance(document.get("cases"), list):
        raise InputError("The file has no list of cases.", where=f"{path}: cases")
    _require_known(document, ("cases",), str(path))
    return [(f"cases[{at}]", entry) for at, entry in enumerate(document["cases"])]


def _read_case(entry: Mapping[str, Any], where: str) -> Case:
    """Return a question with what is expected of its answer."""
    _require_known(entry, _CASE_KEYS, where)
    if ("prompt" in entry) == ("messages" in entry):
        raise InputError("A case must have either a prompt or messages.", where=where)
    given: Any = {"messages": entry.get("messages"), "tools": entry.get("tools")}
    if "prompt" in entry:
        system = [{"role": "system", "content": entry["system"]}] if "system" in entry else []
        given = [*system, {"role": "user", "content": entry["prompt"]}]
    elif "system" in entry:
        raise InputError("With messages, the system message must be one of them.", where=f"{where}: system")
    name = entry.get("name", entry.get("prompt", where.rpartition(": ")[2]))
    if not isinstance(name, str):
        raise InputError("The name must be a text.", where=f"{where}: name")
    expected = {key: entry[key] for key in EXPECTATIONS if key in entry}
    for key, value in expected.items():
        fits, words = EXPECTATIONS[key]
        if not fits(value):
            raise InputError(f"{key} must be {words}, not {value!r}.", where=f"{where}: {key}")
    if not expected:
        raise InputError(f"A case must expect something: {', '.join(EXPECTATIONS)}.", where=where)
    return Case(name, conversation_of(given, name, where), expected)


def _read_figure(entry: Mapping[str, Any], path: Path, where: str) -> FigureCase:
    """Return a file of conversations with what is expected of its figures."""
    _require_known(entry, _FIGURE_KEYS, where)
    if not isinstance(entry["file"], str) or not isinstance(entry.get("name", ""), str):
        raise InputError("The file and the name must be texts.", where=where)
    limits = {key: entry[key] for key in _FIGURES if key in entry}
    wrong = [key for key, value in limits.items() if not _is_number(value)]
    if wrong or not limits:
        raise InputError(f"{' or '.join(wrong or _FIGURES)} must be a number.", where=where)
    return FigureCase(entry.get("name", entry["file"]), path.parent / entry["file"], **limits)


def _require_known(entry: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Require that a case has no other keys, because a misspelt expectation would never fail."""
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            meant = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}."
            raise InputError(f"A case has no key {key}; {meant}", where=f"{where}: {key}")


def _require_own_names(names: Sequence[str], path: Path) -> None:
    """Require that each case has a name of its own, by which a failure is reported."""
    for name in names:
        if names.count(name) > 1:
            raise InputError("Two cases have the same name.", where=f"{path}: {name}")
