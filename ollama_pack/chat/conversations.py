"""The conversations that prompts are compared on.

The plain ones decide: with and without a system message, of one to three turns, with text that is easy to get
wrong. The special ones are those that some templates, or Ollama, treat differently. They are counted apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ollama_pack.chat.trained import Conversation

_CODE = "Fix it:\n```python\ndef f(x):\n    return x  \n```\n"
_ODD = "  two\t spaces \n\n and lines\n "
_WIDE = "Grüße, 你好, \u202ftoday — 🙂\u00a0e\u0301"
_WIDE_ENDS = "\u2003 Grüße\u00a0"
_TEMPLATE_MARKS = '<b> & "quotes" {{ .System }} {% if x %} \\n $x'
_SYSTEM = "You answer in one sentence."

_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Returns the weather of a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string", "description": "its name"}},
            "required": ["town"],
        },
    },
}


def _talk(*texts: str, system: str | None = None) -> list[Mapping[str, Any]]:
    """Return messages of a user and an assistant in turn."""
    roles = ("user", "assistant")
    first = [{"role": "system", "content": system}] if system is not None else []
    return [*first, *({"role": roles[at % 2], "content": text} for at, text in enumerate(texts))]


def _user(text: str) -> Mapping[str, Any]:
    """Return a message of the user."""
    return {"role": "user", "content": text}


PLAIN_CONVERSATIONS: Sequence[Conversation] = (
    Conversation("one turn", _talk("Who was Ada Lovelace?")),
    Conversation("one turn, system", _talk("Who was she?", system=_SYSTEM)),
    Conversation("two turns", _talk("Hello.", "Hi! How can I help?", "Tell me a joke.")),
    Conversation("two turns, system", _talk("Hello.", "Hi!", "And now?", system=_SYSTEM)),
    Conversation("three turns", _talk("a", "b", "c", "d", "e")),
    Conversation("three turns, system", _talk("One?", "1.", "Two?", "2.", "Three?", system=_SYSTEM)),
    Conversation("white space of the user", _talk(_ODD)),
    Conversation("white space of the assistant", _talk("Go on.", _ODD, "More.")),
    Conversation("white space of the system", _talk("Go on.", system=_ODD)),
    Conversation("white space everywhere", _talk(_ODD, _ODD, _ODD, system=_ODD)),
    Conversation("unicode", _talk(_WIDE, _WIDE, _WIDE)),
    Conversation("unicode, system", _talk("你好", system=_WIDE)),
    Conversation("code", _talk(_CODE, "```python\nf = abs\n```", "Thanks.\n")),
    Conversation("code, system", _talk(_CODE, system="Reply with code:\n```\n\n```")),
    Conversation("marks of templates", _talk(_TEMPLATE_MARKS, _TEMPLATE_MARKS, "ok?")),
    Conversation("marks of templates, system", _talk("ok?", system=_TEMPLATE_MARKS)),
    Conversation("empty text of the user", _talk("")),
    Conversation("empty answer", _talk("Say nothing.", "", "Well?")),
)
"""The conversations that decide whether two prompts are equal."""

SPECIAL_CONVERSATIONS: Mapping[str, Sequence[Conversation]] = {
    "Unicode spaces at the ends": (
        Conversation(
            "Unicode spaces at the ends", _talk(_WIDE_ENDS, _WIDE_ENDS, _WIDE_ENDS, system=_WIDE_ENDS)
        ),
    ),
    "empty system": (Conversation("empty system", _talk("Hello.", system="")),),
    "two users in a row": (
        Conversation("two users in a row", [_user("Hello."), _user("Are you there?")]),
        Conversation("two users later", [*_talk("a", "b"), _user("c"), _user("d")]),
    ),
    "system in the middle": (
        Conversation(
            "system in the middle",
            [*_talk("a", "b"), {"role": "system", "content": _SYSTEM}, _user("c")],
        ),
    ),
    "two systems": (
        Conversation("two systems", [{"role": "system", "content": "Be kind."}, *_talk("a", system=_SYSTEM)]),
    ),
    "thinking in an answer": (
        Conversation("thinking in an answer", _talk("2+2?", "<think>\nEasy.\n</think>\n\n4", "3+3?")),
    ),
    "tools": (
        Conversation("a tool", _talk("How is the weather in Ulm?"), [_TOOL]),
        Conversation("a tool, system", _talk("And in Bonn?", system=_SYSTEM), [_TOOL]),
    ),
}
"""What is special → conversations of that kind. The Unicode spaces are some that llama.cpp does not strip."""
