"""Puts messages and tools in the form in which Ollama gives them to a Go template."""

from collections.abc import Mapping, Sequence
from typing import Any

from ollama_pack.chat.go_values import GoList, GoMap, GoStruct, GoValue, go_value
from ollama_pack.chat.trained import Turn

_MERGED_BY = "\n\n"


def merge_neighbours(messages: Sequence[Turn]) -> list[Turn]:
    r"""Return messages with neighbours of one role merged, as Ollama does before a Go template sees them.

    Messages of tools stay as they are, since each belongs to a call. All other fields of the second of two
    neighbours are lost, such as its tool calls.

    Example:
        >>> merge_neighbours([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])
        [{'role': 'user', 'content': 'a\n\nb'}]
    """
    merged: list[Turn] = []
    for message in messages:
        last = merged[-1] if merged else None
        if last is not None and last["role"] == message["role"] != "tool":
            text = f"{last.get('content') or ''}{_MERGED_BY}{message.get('content') or ''}"
            merged[-1] = {**last, "content": text}
        else:
            merged.append(message)
    return merged


def system_text(messages: Sequence[Turn]) -> str:
    """Return what ``.System`` is in a template with ``.Messages``: the text of all system messages."""
    return _MERGED_BY.join(str(each.get("content") or "") for each in messages if each["role"] == "system")


def go_messages(messages: Sequence[Turn]) -> GoList:
    """Return the value of ``.Messages``.

    Args:
        messages: the messages, with neighbours merged, in the form of the OpenAI interface.
    """
    return GoList(tuple(_go_message(message) for message in messages))


def _go_message(message: Turn) -> GoStruct:
    """Return a message as Ollama's `api.Message`."""
    calls = [_go_call(call, at) for at, call in enumerate(message.get("tool_calls") or ())]
    fields: dict[str, GoValue] = {
        "Role": go_value(message["role"]),
        "Content": go_value(message.get("content") or ""),
        "Thinking": go_value(message.get("thinking") or ""),
        "Images": GoList(is_nil=True),
        "ToolCalls": GoList(tuple(calls), is_nil=not calls),
        "ToolName": go_value(message.get("name") or ""),
        "ToolCallID": go_value(message.get("tool_call_id") or ""),
    }
    return GoStruct(fields, tuple((name, name, False) for name in fields), is_opaque=True)


def _go_call(call: Mapping[str, Any], at: int) -> GoStruct:
    """Return a tool call as Ollama's `api.ToolCall`."""
    function = call.get("function") or {}
    arguments = go_value(function.get("arguments") or {})
    inner: dict[str, GoValue] = {
        "Index": at,
        "Name": go_value(function.get("name") or ""),
        "Arguments": GoMap(arguments.items, as_json=True) if isinstance(arguments, GoMap) else arguments,
    }
    fields: dict[str, GoValue] = {
        "ID": go_value(call.get("id") or ""),
        "Function": GoStruct(inner, tuple((name, name, False) for name in inner)),
    }
    return GoStruct(fields, tuple((name, name, False) for name in fields))


def go_tools(tools: Sequence[Mapping[str, Any]] | None) -> GoList:
    """Return the value of ``.Tools``, with keys in the order in which Ollama writes them.

    Args:
        tools: the tools in the form of the OpenAI interface; None for no tools.
    """
    if tools is None:
        return GoList(is_nil=True, as_json=True)
    return GoList(tuple(_go_tool(tool) for tool in tools), as_json=True)


def _go_tool(tool: Mapping[str, Any]) -> GoStruct:
    """Return the description of a tool as Ollama's `api.Tool`."""
    function = tool.get("function") or {}
    given = function.get("parameters") or {}
    properties = {
        name.encode(): _go_property(value) for name, value in (given.get("properties") or {}).items()
    }
    required = given.get("required") or []
    parameters = GoStruct(
        {
            "Type": go_value(given.get("type") or ""),
            "Defs": go_value(given.get("$defs")),
            "Items": go_value(given.get("items")),
            "Required": GoList(tuple(go_value(name) for name in required), is_nil=not required),
            "Properties": GoMap(properties, as_json=True),
        },
        (
            ("type", "Type", False),
            ("$defs", "Defs", True),
            ("items", "Items", True),
            ("required", "Required", True),
            ("properties", "Properties", False),
        ),
    )
    described = GoStruct(
        {
            "Name": go_value(function.get("name") or ""),
            "Description": go_value(function.get("description") or ""),
            "Parameters": parameters,
        },
        (("name", "Name", False), ("description", "Description", False), ("parameters", "Parameters", False)),
    )
    return GoStruct(
        {
            "Type": go_value(tool.get("type") or ""),
            "Items": go_value(tool.get("items")),
            "Function": described,
        },
        (("type", "Type", False), ("items", "Items", True), ("function", "Function", False)),
        as_json=True,
    )


def _go_property(value: Mapping[str, Any]) -> GoStruct:
    """Return a property of a tool; a type that is a list of names prints as Go prints such a list."""
    kind = value.get("type")
    names = [kind] if isinstance(kind, str) else list(kind or ())
    shown = str(names[0]) if len(names) == 1 else f"[{' '.join(map(str, names))}]" if names else ""
    return GoStruct(
        {
            "Type": go_value(shown),
            "JSONType": go_value(kind),
            "Items": go_value(value.get("items")),
            "Description": go_value(value.get("description") or ""),
            "Enum": go_value(list(value.get("enum") or ())),
        },
        (
            ("type", "JSONType", True),
            ("items", "Items", True),
            ("description", "Description", True),
            ("enum", "Enum", True),
        ),
        is_opaque=True,
    )
