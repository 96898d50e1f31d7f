"""Reads the conversation of a user, which is compared beside the fixed ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.chat.trained import Conversation
from ollama_pack.errors import InputError
from ollama_pack.files import read_json


def read_messages(path: Path) -> Conversation:
    """Return the conversation in a JSON file: a list, or an object with ``messages`` and ``tools``.

    Raises:
        InputError: the file is damaged, or a message has no role or content.
    """
    document = read_json(path)
    given = document if isinstance(document, Mapping) else {"messages": document}
    messages, tools = given.get("messages"), given.get("tools")
    where = f"{path}: messages"
    if not isinstance(messages, list) or not messages:
        raise InputError("There is no list of messages.", where=where)
    for at, message in enumerate(messages):
        if not _is_turn(message):
            raise InputError("A message has a role, and a text as its content.", where=f"{where}[{at}]")
    if tools is not None and not _are_objects(tools):
        raise InputError("The tools are not a list of objects.", where=f"{path}: tools")
    return Conversation(path.name, messages, tools)


def _is_turn(message: Any) -> bool:  # noqa: ANN401 — JSON
    return isinstance(message, Mapping) and all(
        isinstance(message.get(key), str) or (key == "content" and message.get("tool_calls"))
        for key in ("role", "content")
    )


def _are_objects(values: Any) -> bool:  # noqa: ANN401 — JSON
    return isinstance(values, list) and all(isinstance(each, Mapping) for each in values)
