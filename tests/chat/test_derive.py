"""A Go TEMPLATE that is derived from a chat template makes its prompts; the proof of the prompt decides."""

from datetime import date, datetime

import pytest
from chat_examples import SPECIAL, TEMPLATES
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.chat.derive import derive_go_template
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.chat.renderer import chat_renderer
from ollama_pack.chat.sent import sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.trim_template import TRIM_DEFINES
from ollama_pack.chat.who_renders import PromptSource
from ollama_pack.verify.prompt import prove_prompt

_PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}!"
SPACES = "".join(chr(code) for code in range(0x3100) if chr(code).isspace())
MORE = {
    "gemma": (
        "{{ bos_token }}{% set system = messages[0].content | trim if messages[0].role == 'system' else '' %}"
        "{% for m in messages %}{% if m.role != 'system' %}"
        "<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{% if loop.first or (loop.index0 == 1 and system) %}{{ system }}{{ '\n\n' if system }}{% endif %}"
        "{{ m.content | trim }}<end>\n{% endif %}{% endfor %}<turn>model\n"
    ),
    "braces": "{% for m in messages %}{{ '{{' + m.role + '}} ' }}{{ m.content }}{% endfor %}{{ '{{- a }}' }}",
    "right": "{% for m in messages %}[{{ m.role }}]{{ m.content.rstrip() }}{% endfor %}!",
    "date": "On {{ strftime_now('%d %b %Y') }} ({{ strftime_now('%B %d, %Y') }}):" + _PLAIN,
    "empty": (
        "{% for m in messages %}<{{ m.role }}>{{ m.content or '(nothing)' }}"
        "{{ '<end>' if m.content or m.role != 'assistant' }}{% endfor %}<assistant>"
    ),
    "no system": "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}>",
    "late system": (
        "{{ bos_token }}{% for m in messages if m.role != 'system' %}{% if m.role == 'user' %}[I]"
        "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content | trim }}\n\n{% endif %}"
        "{{ m.content }}[/I]{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    ),
    "trimmed together": (
        "{% for m in messages if m.role != 'system' %}"
        "{% set start = '<S>' + messages[0].content + '</S>' "
        "if loop.first and messages[0].role == 'system' else '' %}"
        "[{{ m.role }}] {{ (start + m.content).strip() }} {% endfor %}[assistant]"
    ),
    "left": "{% for m in messages %}[{{ m.role }}]{{ m.content.lstrip() }}{% endfor %}!",
}


@pytest.fixture(scope="module")
def renderer():
    """Return what fills chat templates."""
    with chat_renderer(datetime(2026, 1, 2)) as running:
        yield running


def proved(template, text, renderer, *, adds_bos=False):
    """Return the proof of a TEMPLATE that nothing overrules."""
    source = PromptSource(text, parser="passthrough")
    sent = sent_prompt(source, None, ChatTemplate("", SPECIAL), adds_bos=adds_bos)
    return prove_prompt(template, sent, renderer).result


@pytest.mark.parametrize(
    "text", [TEMPLATES["chatml"], TEMPLATES["trimmed"], TEMPLATES["refuses"], *MORE.values()]
)
@pytest.mark.parametrize("adds_bos", [False, True])
def test_derived_templates_are_equal(renderer, text, adds_bos):
    """What is derived is byte-equal on conversations that it was not derived from."""
    has_bos = "bos_token" in text
    template = ChatTemplate(text, SPECIAL)
    derived = derive_go_template(template, renderer, SPECIAL["bos_token"] if adds_bos else "")
    if adds_bos and not has_bos:
        assert not derived.startswith("<s>")
        return
    found = proved(template, derived, renderer, adds_bos=adds_bos)
    assert found.passed, found


@pytest.mark.parametrize("name", ["date", "undefined", "loops", "tools", "namespace"])
def test_what_cannot_be_derived_is_nothing(renderer, name):
    """Times, texts that are left out, and what depends on more than neighbours are not derived."""
    assert derive_go_template(ChatTemplate(TEMPLATES[name], SPECIAL), renderer) == ""


def test_a_wrong_proposal_is_not_called_equal(renderer):
    """A template that replaces some texts is derived wrongly, and the proof finds it."""
    text = "{% for m in messages %}<{{ m.role }}>{{ m.content | replace('```', '~~~') }}{% endfor %}>"
    template = ChatTemplate(text)
    found = proved(template, derive_go_template(template, renderer), renderer)
    assert (found.passed, found.figure) == (False, 2.0)


def test_a_date_is_that_of_the_day(renderer):
    """A date that is derived on one day is right on all others."""
    template = ChatTemplate(MORE["date"])
    derived = derive_go_template(template, renderer)
    for day in (date(2026, month, 2 + month) for month in range(1, 13)):
        said = f"On {day:%d %b %Y} ({day:%B %d, %Y}):[user]a!"
        assert read_go_prompt(derived).fill([{"role": "user", "content": "a"}], day) == said


@pytest.mark.property
@given(st.text(alphabet=SPACES + "aé日🙂", max_size=12))
def test_trimming_law(text):
    """The derived trimming is Python's, for any white space of Unicode."""
    for name, trim in (("trim", str.strip), ("trimLeft", str.lstrip), ("trimRight", str.rstrip)):
        call = '{{ range .Messages }}{{ template "NAME" .Content }}{{ end }}'.replace("NAME", name)
        prompt = read_go_prompt(TRIM_DEFINES + call)
        assert prompt.fill([{"role": "user", "content": text}], date(2026, 1, 2)) == trim(text)
