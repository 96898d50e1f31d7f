"""Chat templates: what is made of them is what transformers makes, and a stranger's one cannot do harm."""

import json
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from chat_examples import SPECIAL, TEMPLATES

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError, chat_renderer
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.errors import InputError

RECORDED = json.loads((Path(__file__).parents[1] / "goldens" / "chat-templates.json").read_text("utf-8"))
CONVERSATIONS = [*PLAIN_CONVERSATIONS, *(each for some in SPECIAL_CONVERSATIONS.values() for each in some)]
HELLO = Conversation("hello", [{"role": "user", "content": "Hi"}])


@pytest.fixture(scope="module")
def renderer():
    """Return a renderer at the time of the records."""
    with chat_renderer(datetime(2026, 1, 2, 3, 4)) as running:
        yield running


def rendered(renderer, text, conversation):
    """Return a prompt, or what the records have in its place."""
    try:
        return renderer.render(ChatTemplate(text, SPECIAL), conversation)
    except ConversationRefusedError as error:
        return ["refused", str(error)]
    except InputError as error:
        return ["fault", error.what]


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_are_those_of_transformers(renderer, name):
    """Every template makes of every conversation what transformers made, or fails as it failed."""
    assert RECORDED[name].keys() == {each.name for each in CONVERSATIONS}
    for conversation in CONVERSATIONS:
        got, want = rendered(renderer, TEMPLATES[name], conversation), RECORDED[name][conversation.name]
        if isinstance(want, list) and want[0] == "fault":
            assert got[0] == "fault"
            assert want[1].rstrip(".") in got[1]
        else:
            assert got == want


def test_the_set_is_what_it_says():
    """There are eighteen plain conversations, no two alike, and all of them end with a user."""
    assert len(PLAIN_CONVERSATIONS) == 18
    assert len({json.dumps(list(each.messages)) for each in CONVERSATIONS}) == len(CONVERSATIONS)
    assert all(each.messages[-1]["role"] == "user" for each in CONVERSATIONS)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ 'a'.ljust(9999999999) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 9 ** (9 ** (9 ** 9)) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{% include '/etc/hostname' %}",
    ],
)
def test_strangers_do_no_harm(text):
    """A template that would fill the memory, never end, or leave the sandbox is an error."""
    renderer = ChatRenderer(datetime(2026, 1, 2), slowest=1.5)
    try:
        with pytest.raises(InputError, match="cannot be filled"):
            renderer.render(ChatTemplate(text), HELLO)
        assert renderer.render(ChatTemplate("{{ messages[0].content }}"), HELLO) == "Hi"
    finally:
        renderer.close()


def test_settings_are_passed(renderer):
    """What a template may be told besides the messages reaches it."""
    template = ChatTemplate(TEMPLATES["thinking"])
    assert renderer.render(template, HELLO) == "Hi;"
    assert renderer.render(template, HELLO, enable_thinking=False) == "Hi;<think></think>"


def test_a_question_is_asked_once():
    """A prompt that was made is not made again, so the process is not even needed; a chance is taken anew."""
    with chat_renderer(datetime(2026, 1, 2)) as renderer:
        template = ChatTemplate("{{ messages[0].content }}")
        assert renderer.render(template, HELLO) == "Hi"
        renderer.close()
        assert renderer.render(template, HELLO) == "Hi"
        assert renderer.process is None
        dice = ChatTemplate("{{ range(100000) | random }}")
        assert len({renderer.render(dice, HELLO) for _ in range(5)}) > 1


def test_no_thread_is_left():
    """What looks whether a template is too slow ends with the process."""
    before = threading.active_count()
    with chat_renderer(datetime(2026, 1, 2)) as renderer:
        renderer.render(ChatTemplate("x"), HELLO)
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.05)
    assert threading.active_count() <= before
