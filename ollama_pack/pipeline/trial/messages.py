"""Reads conversations of a user: one, or a file with one on each line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ollama_pack.chat.trained import Conversation
from ollama_pack.disk.files import read_json
from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import file_errors, parse_json


def read_messages(path: Path) -> Conversation:
    """Return the conversation in a JSON file: a list, or an object with ``messages`` and ``tools``.

    Raises:
        InputError: the file is damaged, or a message has no role or content.
    """
    return conversation_of(read_json(path), path.name, str(path))


def conversation_of(document: object, name: str, where: str) -> Conversation:
    """Return the conversation in a value of JSON: a list, or an object with ``messages`` and ``tools``.

    Args:
        document: the value.
        name: what the conversation is called.
        where: the place of the value, for messages.

    Raises:
        InputError: a message has no role or content.
    """
    given = document if isinstance(document, Mapping) else {"messages": document}
    messages, tools = given.get("messages"), given.get("tools")
    place = f"{where}: messages"
    if not isinstance(messages, list) or not messages:
        raise InputError("There is no list of messages.", where=place)
    for at, message in enumerate(messages):
        if not _is_turn(message):
            raise InputError("A message must have a role, and a text as its content.", where=f"{place}[{at}]")
    if not isinstance(tools, list | None) or not _are_objects(tools or []):
        raise InputError("The tools must be a list of objects.", where=f"{where}: tools")
    return Conversation(name, messages, tools)


def read_conversations(path: Path) -> tuple[Conversation, ...]:
    """Return the conversations of a file: JSON lines, or a list in a file ``.json``, each a JSON value.

    Each is what `conversation_of` takes, or in a form that data for training often has: a question and an
    answer under two names (``instruction`` may have an ``input``), texts or lists of messages as ``prompt``
    and ``completion``, or ``conversations`` with ``from`` and ``value``.

    Raises:
        InputError: the file cannot be read, is damaged, or has no conversation.
    """
    found = [
        conversation_of(_turns_of_entry(value), f"{path.name}:{number}", f"{path}: {place} {number}")
        for place, number, value in _entries_of(path)
    ]
    if not found:
        raise InputError("The file has no conversation.", where=path)
    return tuple(found)


def _entries_of(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield what a number counts, the number and the value of each entry of a file."""
    if path.suffix.lower() == ".json":
        with file_errors(path):
            content = path.read_bytes() if path.stat().st_size <= MOST_CASE_BYTES else b""
            document = parse_json(content) if content.lstrip().startswith(b"[") else None
        if isinstance(document, list):
            yield from (("entry", number, value) for number, value in enumerate(document, 1))
            return
    yield from (("line", number, value) for number, value in json_lines_of(path))


def _turns_of_entry(value: object) -> object:
    """Return an entry of training data with messages, or as it is if it has none of the known forms."""
    if not isinstance(value, Mapping) or "messages" in value:
        return value
    first = [{"role": "system", "content": value["system"]}] if value.get("system") else []
    if isinstance(turns := value.get("conversations"), list):
        return [*first, *map(_as_turn, turns)]
    for one, other in _PAIRS:
        asked, answered = value.get(one), value.get(other)
        if isinstance(asked, list) and isinstance(answered, list):
            return [*first, *asked, *answered]
        if asked and answered:
            more = value.get("input")
            text = f"{asked}\n{more}" if one == "instruction" and isinstance(more, str) and more else asked
            return [*first, {"role": "user", "content": text}, {"role": "assistant", "content": answered}]
    return value


def _as_turn(turn: object) -> object:
    """Return a turn with ``from`` and ``value`` as a message."""
    if not isinstance(turn, Mapping) or "from" not in turn:
        return turn
    said = turn["from"]
    return {"role": _SPEAKERS.get(said, said) if isinstance(said, str) else "", "content": turn.get("value")}


def json_lines_of(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of a file that is not empty.

    Raises:
        InputError: the file cannot be read, or a line is not JSON.
    """
    with file_errors(path):
        lines = path.read_bytes().split(b"\n") if path.stat().st_size <= MOST_CASE_BYTES else None
    if lines is None:
        raise InputError(f"The file has more than {MOST_CASE_BYTES} bytes.", where=path)
    for number, line in enumerate(lines, 1):
        if line.strip():
            with file_errors(f"{path}: line {number}"):
                value = parse_json(line)
            yield number, value


MOST_CASE_BYTES = 64_000_000
"""The largest size of a file of conversations or cases, in bytes."""

_PAIRS = (("question", "answer"), ("prompt", "completion"), ("instruction", "output"))
_SPEAKERS = {"human": "user", "gpt": "assistant"}


def _is_turn(message: Any) -> bool:  # noqa: ANN401 — JSON
    """Return whether a value is a message: it has a role, and content unless it calls a tool."""
    return isinstance(message, Mapping) and all(
        isinstance(message.get(key), str) or (key == "content" and message.get("tool_calls"))
        for key in ("role", "content")
    )


def _are_objects(values: Any) -> bool:  # noqa: ANN401 — JSON
    """Return whether a value is a list of JSON objects."""
    return isinstance(values, list) and all(isinstance(each, Mapping) for each in values)
