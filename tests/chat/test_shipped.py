"""The shipped templates of families whose tokenizers trim make their prompts, told here in other words."""

from datetime import datetime

import pytest

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.chat.renderer import chat_renderer
from ollama_pack.chat.sent import sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.who_renders import PromptSource
from ollama_pack.errors import UnsupportedError
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.template import TemplateFields, fill_template, find_template

_FIRST = "{% set first = messages[0].content if messages[0].role == 'system' else '' %}"
_REST = "{% for m in messages if m.role != 'system' %}"
FAMILIES = {
    "llama3": (
        "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content.strip() }}"
        "<|eot_id|>{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    ),
    "gemma": (
        f"{_FIRST}{_REST}<start_of_turn>{{{{ 'model' if m.role == 'assistant' else 'user' }}}}\n"
        "{% if loop.first and first %}{{ first }}\n\n{% endif %}{{ m.content.strip() }}<end_of_turn>\n"
        "{% endfor %}{{ '<start_of_turn>model\n' }}"
    ),
    "llama2": (
        f"{_FIRST}{_REST}{{% if m.role == 'assistant' %}} {{{{ m.content.strip() }}}} </s>{{% else %}}"
        "{{ '' if loop.first else '<s>' }}[INST] "
        "{% set before = '<<SYS>>\n' + first + '\n<</SYS>>\n\n' if loop.first and first else '' %}"
        "{{ (before + m.content).strip() }} [/INST]{% endif %}{% endfor %}"
    ),
}


def template_of(name):
    """Return the TEMPLATE of a shipped template."""
    return parse(fill_template(find_template(name), TemplateFields(base="x")), where=name).value("TEMPLATE")


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_are_trimmed(name):
    """White space at the ends goes, also that beyond ASCII; Llama 2 trims system and question as one text."""
    now = datetime(2026, 1, 2)
    prompt = read_go_prompt(template_of(name))
    conversations = [*PLAIN_CONVERSATIONS, *SPECIAL_CONVERSATIONS["Unicode spaces at the ends"]]
    with chat_renderer(now) as renderer:
        for each in conversations:
            wanted = renderer.render(ChatTemplate(FAMILIES[name]), each)
            assert prompt.fill(each.messages, now.date()) == wanted, each.name


def test_an_ollama_that_cannot_trim():
    """Before 0.5.13 a TEMPLATE cannot go through the bytes of a text, so nothing is computed there."""
    source = PromptSource(template_of("llama3"))
    with pytest.raises(UnsupportedError, match=r"needs Ollama 0\.5\.13"):
        sent_prompt(source, (0, 5, 12), ChatTemplate(""))
    assert sent_prompt(source, (0, 5, 13), ChatTemplate("")).source is source
