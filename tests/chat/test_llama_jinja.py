"""What is computed for an Ollama that lets llama.cpp fill a chat template, against llama.cpp's own Jinja.

tests/reference/record_llama_jinja.py recorded what that engine makes of our own templates, and the verdicts
on a corpus of real ones.
"""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from chat_examples import SPECIAL, TEMPLATES

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.renderer import ConversationRefusedError, chat_renderer
from ollama_pack.chat.sent import sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.who_renders import PromptSource
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.verify.prompt import prove_prompt

GOLDENS = Path(__file__).parents[1] / "goldens"
RECORDED = json.loads((GOLDENS / "chat-llama-cpp.json").read_text("utf-8"))
CONVERSATIONS = [*PLAIN_CONVERSATIONS, *(each for some in SPECIAL_CONVERSATIONS.values() for each in some)]
WIDE = "Unicode spaces at the ends"
TRIMS = "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}{% endfor %}!"


@pytest.fixture(scope="module")
def renderer():
    """Return a renderer at the time of the records."""
    with chat_renderer(datetime(2026, 1, 1)) as running:
        yield running


def sent_by_jinja(text):
    """Return how a model whose GGUF alone has a chat template gets its prompts from the latest Ollama."""
    return sent_prompt(PromptSource(jinja=text), None, ChatTemplate("", SPECIAL))


@pytest.mark.parametrize("name", TEMPLATES)
def test_own_templates(renderer, name):
    """Each prompt is the one that llama.cpp makes; what it refuses is refused."""
    sent, recorded = sent_by_jinja(TEMPLATES[name]), RECORDED["own"][name]
    assert recorded.keys() == {each.name for each in CONVERSATIONS}
    for each in CONVERSATIONS:
        try:
            made = sent.fill(each, renderer)
        except (ConversationRefusedError, InputError):
            made = None
        if each.tools and "tools" not in TEMPLATES[name]:  # Ollama asks for that word, and llama.cpp does not
            assert made is None
            continue
        if made is None and name == "fails":  # llama.cpp prints nothing for a field of what is undefined
            continue
        assert made == recorded[each.name], each.name


def test_the_corpus():
    """Of real templates, the engines differ on one, which gets the parts of a system message."""
    verdicts = Counter(verdict.partition(":")[0] for verdict in RECORDED["corpus"].values())
    assert verdicts["equal"] >= 0.94 * verdicts.total()
    assert verdicts["not equal"] == 1
    corpus = {row["sha256"] for row in json.loads((GOLDENS / "chat-corpus.json").read_text("utf-8"))}
    assert corpus == RECORDED["corpus"].keys()


def test_trimming_is_not_called_equal(renderer):
    """llama.cpp trims ASCII alone: the plain conversations are equal, and that one is told apart."""
    trained = ChatTemplate(TRIMS, SPECIAL)
    found = prove_prompt(trained, sent_by_jinja(TRIMS), renderer)
    assert found.result.passed
    assert [each.is_equal for each in found.special[WIDE]] == [False]
    (wide,) = found.special[WIDE]
    assert "\u00a0" not in wide.trained
    assert "\u00a0" in wide.sent


@pytest.mark.parametrize("method", ["strip()", "lstrip()", "rstrip()", "upper()", "lower()"])
def test_methods_know_ascii_alone(renderer, method):
    """The methods of texts do what their namesakes in llama.cpp do."""
    text = "{{ messages[0].content." + method + " }}"
    each = next(iter(SPECIAL_CONVERSATIONS[WIDE]))
    made, trained = sent_by_jinja(text).fill(each, renderer), renderer.render(ChatTemplate(text), each)
    assert made.startswith("\u2003 ")
    assert made.endswith("\u00a0")
    assert "ü" in made
    assert (method in ("lower()",)) or made != trained


def test_todays_date_is_given(renderer):
    """llama.cpp gives today's date to a chat template that has another one by default."""
    text = (
        "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}{{ date_string }}"
    )
    each = PLAIN_CONVERSATIONS[0]
    assert renderer.render(ChatTemplate(text), each) == "26 Jul 2024"
    assert sent_by_jinja(text).fill(each, renderer) == "01 Jan 2026"


def test_parts_of_a_message_are_not_computed(renderer):
    """A chat template that takes the parts of a message gets them from llama.cpp; that is not guessed."""
    text = (
        "{% for m in messages %}{% for part in m['content'] %}"
        "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    with pytest.raises(UnsupportedError, match="takes the parts of a message"):
        sent_by_jinja(text).fill(PLAIN_CONVERSATIONS[0], renderer)
