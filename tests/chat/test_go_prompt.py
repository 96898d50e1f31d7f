"""What Ollama makes of a conversation with a Go TEMPLATE: its own code recorded it."""

import json
from datetime import date
from pathlib import Path

import pytest
from go_prompts import GO_PROMPTS

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.errors import InputError

RECORDED = json.loads((Path(__file__).parents[1] / "goldens" / "go-prompts.json").read_text("utf-8"))
CONVERSATIONS = [*PLAIN_CONVERSATIONS, *(each for some in SPECIAL_CONVERSATIONS.values() for each in some)]
THINKING = {"unset": None, "yes": True, "no": False}
TODAY = date(2026, 1, 2)


def filled(name, conversation, think):
    """Return a prompt, or None if Ollama refuses the template or the data."""
    try:
        prompt = read_go_prompt(GO_PROMPTS[name])
        return prompt.fill(conversation.messages, TODAY, tools=conversation.tools, think=think)
    except InputError:
        return None


@pytest.mark.parametrize("name", GO_PROMPTS)
def test_prompts_are_those_of_ollama(name):
    """Every template makes of every conversation what Ollama's own code made, or fails where it failed."""
    for word, recorded in RECORDED[name].items():
        assert recorded.keys() == {each.name for each in CONVERSATIONS}
        for conversation in CONVERSATIONS:
            assert filled(name, conversation, THINKING[word]) == recorded[conversation.name], (
                conversation.name
            )


def test_the_records_show_something():
    """Most recorded prompts are text; some templates fail, as Ollama fails on them."""
    prompts = [each for some in RECORDED.values() for texts in some.values() for each in texts.values()]
    assert RECORDED.keys() == GO_PROMPTS.keys()
    assert sum(prompt is None for prompt in prompts) > 20
    assert len({prompt for prompt in prompts if prompt}) > 150
