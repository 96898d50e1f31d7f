"""Chat templates of strangers: each ends within time, memory and output, with words that fit."""

import time
from datetime import datetime

import pytest

from ollama_pack.chat.renderer import ConversationRefusedError, chat_renderer
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.errors import InputError

HELLO = Conversation("hello", [{"role": "user", "content": "Hi"}])
LOOPS = "{% for a in range(9) %}" * 25 + "x" + "{% endfor %}" * 25

HOSTILE = {
    "a long text": ("{{ 'a' * 10**10 }}", "memory"),
    "a text that doubles": (
        "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "memory",
    ),
    "a wide format": ("{{ '%9999999999d' % 1 }}", "memory"),
    "a wide format as a filter": ("{{ '%9999999999d' | format(1) }}", "memory"),
    "a wide format as a method": ("{{ '{:9999999999}'.format(1) }}", "memory"),
    "a wide line": ("{{ 'a' | center(10**10) }}", "memory"),
    "a wide indent": ("{{ messages | tojson(indent=10**9) }}", "memory"),
    "a long list": ("{{ [1] | batch(10**9, 1) | list }}", "memory"),
    "a long range": ("{{ range(10**12) | list }}", "Range too big"),
    "loops in each other": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "seconds",
    ),
    "much output": ("{% for a in range(99999) %}{{ 'a' * 999 }}{% endfor %}", "characters"),
    "25 loops": (LOOPS, "nests too many loops"),
    "3000 conditions": ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, "memory"),
    "5000 parentheses": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "memory"),
    "a macro of itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "memory"),
    "sorted names of two kinds": ("{{ {'a': 1, 2: 3} | dictsort }}", "TypeError"),
    "a number that is sorted": ("{{ 1 | dictsort }}", "AttributeError"),
    "an attribute with a blank": ("{{ {'a b': 1} | xmlattr }}", "ValueError"),
    "another file": ("{% include 'x' %}", "TypeError"),
    "a number that is no number": ("{{ 1 / 0 }}", "ZeroDivisionError"),
}


@pytest.mark.parametrize(("text", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_template_ends(text, why):
    """It ends in an error that says why, and the next conversation is filled as if nothing had been."""
    with chat_renderer(datetime(2026, 1, 2)) as renderer:
        renderer.slowest = 6.0
        start = time.monotonic()
        with pytest.raises(InputError, match=why):
            renderer.render(ChatTemplate(text), HELLO)
        assert time.monotonic() - start < 30
        assert renderer.render(ChatTemplate("{{ messages[0].content }}"), HELLO) == "Hi"


def test_a_long_refusal(tmp_path):
    """What a template says itself is bounded like everything that it makes."""
    with chat_renderer(datetime(2026, 1, 2)) as renderer:
        with pytest.raises((ConversationRefusedError, InputError)) as caught:
            renderer.render(ChatTemplate("{{ raise_exception('a' * 10**7) }}"), HELLO)
        assert len(str(caught.value)) < 1 << 20
