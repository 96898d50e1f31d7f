"""The text that ends an answer, as a chat template writes it after each answer of an assistant."""

import re
from collections.abc import Collection

from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.trained import ChatTemplate, Conversation

_ANSWER, _NEXT = "QxanswerxQ", "QxnextxQ"
_FIRST_MARK = re.compile(r"\s*(<[^<>\s]+>|\[/?[A-Z_]+\])")


def stop_of(template: ChatTemplate, renderer: ChatRenderer, tokens: Collection[str]) -> str:
    """Return the text with which a chat template ends an answer, or an empty string if it is not certain.

    It is a token of the vocabulary. If the template writes no token, it is the line that begins the next
    turn.

    Args:
        template: the chat template.
        renderer: the process that fills it.
        tokens: the tokens of the model.

    Raises:
        InputError: the chat template is damaged.
    """
    turns = [("user", "a"), ("assistant", _ANSWER), ("user", _NEXT)]
    messages = [{"role": role, "content": text} for role, text in turns]
    try:
        prompt = renderer.render(template, Conversation("stop", messages))
    except ConversationRefusedError:
        return ""
    between = prompt.partition(_ANSWER)[2].partition(_NEXT)[0]
    if mark := _FIRST_MARK.match(between):
        return mark[1] if mark[1] in tokens else ""
    line = next(filter(None, map(str.strip, between.splitlines())), "")
    return line if len(line) >= len("Q:") else ""
