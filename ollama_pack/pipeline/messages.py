"""Reads conversations of a user: one, or a file with one on each line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ollama_pack.chat.trained import Conversation
from ollama_pack.errors import InputError
from ollama_pack.files import read_json
from ollama_pack.untrusted import file_errors, parse_json


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
            raise InputError("A message has a role, and a text as its content.", where=f"{place}[{at}]")
    if not isinstance(tools, list | None) or not _are_objects(tools or []):
        raise InputError("The tools are not a list of objects.", where=f"{where}: tools")
    return Conversation(name, messages, tools)


def read_conversations(path: Path) -> tuple[Conversation, ...]:
    """Return the conversations of a file with one JSON value on each line.

    Each is what `conversation_of` takes, or an object with ``question`` and ``answer``, or with ``prompt``
    and ``completion``, as data for training often has them.

    Raises:
        InputError: the file cannot be read, is damaged, or has no conversation.
    """
    found = []
    for number, value in json_lines_of(path):
        where, name = f"{path}: line {number}", f"{path.name}:{number}"
        pairs = (
            [value.get(one) and value.get(other) for one, other in _PAIRS] if isinstance(value, dict) else []
        )
        if any(pairs):
            one, other = _PAIRS[[bool(pair) for pair in pairs].index(True)]
            turns = [{"role": "user", "content": value[one]}, {"role": "assistant", "content": value[other]}]
            value = turns
        found.append(conversation_of(value, name, where))
    if not found:
        raise InputError("There is no conversation.", where=path)
    return tuple(found)


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
"""Bytes of a file of conversations."""

_PAIRS = (("question", "answer"), ("prompt", "completion"), ("instruction", "output"))


def _is_turn(message: Any) -> bool:  # noqa: ANN401 — JSON
    return isinstance(message, Mapping) and all(
        isinstance(message.get(key), str) or (key == "content" and message.get("tool_calls"))
        for key in ("role", "content")
    )


def _are_objects(values: Any) -> bool:  # noqa: ANN401 — JSON
    return isinstance(values, list) and all(isinstance(each, Mapping) for each in values)
