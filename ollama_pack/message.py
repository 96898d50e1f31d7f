"""A message for people that carries what it says as values for programs."""

from typing import Any


class Message(str):
    """A sentence that is printed as it stands, with a code and the values that it is made of.

    The results of a delivery pass through many hands as lines of text. A line that a program may need is a
    message: it is passed on like any other line, and the JSON documents take its values from it, so that no
    words are parsed.

    Args:
        text: the sentence.
        code: what the message is about, the same for every message of its kind.
        facts: its values, by name; they can be written as JSON.
    """

    code: str
    facts: dict[str, Any]

    def __new__(cls, text: str, code: str, **facts: Any) -> "Message":  # noqa: D102, ANN401 — values of JSON
        message = super().__new__(cls, text)
        message.code, message.facts = code, facts
        return message


def facts_of(lines: tuple[str, ...], code: str) -> list[dict[str, Any]]:
    """Return the values of every message with this code among the lines of a result, in their order."""
    return [line.facts for line in lines if isinstance(line, Message) and line.code == code]
