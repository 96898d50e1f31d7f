"""What a real daemon renders with a TEMPLATE in force: the trained prompts, or what is computed."""

from datetime import datetime

import pytest
from chat_examples import TEMPLATES
from scratch_store import BASE_TAG, add_base
from tiny_model import make_base

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.derive import derive_go_template
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.chat.renderer import ConversationRefusedError, chat_renderer
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.template import TemplateFields, fill_template, find_template, template_names
from ollama_pack.pipeline.prompt.sent import base_in_store

pytestmark = pytest.mark.live

_LOOP = "{% for m in messages %}"
TRAINED = {
    "chatml": TEMPLATES["chatml"],
    "trimmed": TEMPLATES["trimmed"],
    "llama3": (
        _LOOP + "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
        "{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "gemma": (
        "{{ bos_token }}" + _LOOP + "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}<turn>"
        "{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ m.content | trim }}<end>\n{% endfor %}<turn>model\n"
    ),
    "phi3": _LOOP + "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}<|assistant|>\n",
    "date": "{{ strftime_now('%d %B %Y') }}/{{ strftime_now('%b %d, %Y') }}"
    + _LOOP
    + "[{{ m.role }}]{{ m.content }}"
    "{% endfor %}!",
    "empty": _LOOP + "[{{ m.role }}]{{ m.content or '-' }}{% endfor %}!",
    "late system": (
        "{% for m in messages if m.role != 'system' %}{% if m.role == 'user' %}[I]"
        "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}"
        "{{ m.content }}[/I]{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
    ),
    "braces": _LOOP + "{{ '{{' + m.role + '}} ' }}{{ m.content }}{% endfor %}{{ '{{- a }}' }}",
}

ENDS = {
    "chatml": ("<|endoftext|>", "<|im_end|>"),
    "trimmed": ("[BOS]", "[EOS]"),
    "llama3": ("<|begin_of_text|>", "<|eot_id|>"),
    "gemma": ("<bos>", "<eos>"),
    "phi3": ("<s>", "<|endoftext|>"),
    "date": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    "empty": ("[gMASK]<sop>", "<|user|>"),
    "late system": ("<s>", "</s>"),
    "braces": ("{{", "}}"),
}
"""Template → the begin and the end of text of its tokenizer, which stand around every prompt in the test."""


@pytest.fixture
def rendered(live):
    """Return a function that gives what the daemon renders of a conversation with a TEMPLATE."""

    def render(template, conversation):
        body = {"model": "prompts", "from": BASE_TAG, "template": template, "parser": "passthrough"}
        if template not in made:
            live.ask("/api/create", **body, stream=False)
            made[:] = [template]
        return live.daemon.rendered("prompts", conversation.messages, "/api/chat")

    made: list[str] = []
    return render


@pytest.mark.parametrize("name", TRAINED)
def test_a_derived_template_in_force(rendered, name):
    """The daemon renders every plain conversation as the chat template does."""
    special = dict(zip(("bos_token", "eos_token"), ENDS[name], strict=True))
    template = ChatTemplate(f"{{{{ bos_token }}}}{TRAINED[name]}{{{{ eos_token }}}}", special)
    count = 0
    with chat_renderer(datetime.now()) as renderer:
        derived = derive_go_template(template, renderer)
        for each in PLAIN_CONVERSATIONS:
            try:
                wanted = renderer.render(template, each)
            except ConversationRefusedError:
                continue
            assert rendered(derived, each) == wanted, each.name
            count += 1
    assert count >= len(PLAIN_CONVERSATIONS) // 2


@pytest.mark.parametrize("name", [name for name in template_names() if name != "inherit"])
def test_a_shipped_template_in_force(rendered, name):
    """What is computed of a shipped TEMPLATE is what the daemon renders."""
    text = parse(fill_template(find_template(name), TemplateFields(base="x")), where="").value("TEMPLATE")
    prompt = read_go_prompt(text)
    for each in PLAIN_CONVERSATIONS:
        assert rendered(text, each) == prompt.fill(each.messages, datetime.now().date()), each.name


NATIVE = {
    "trimmed": _LOOP + "[{{ m.role }}]{{ m.content | trim }}{% endfor %}!",
    "stripped": _LOOP + "[{{ m['role'] }}]{{ m['content'].strip() }}{% endfor %}!",
    "upper": _LOOP + "[{{ m.role | upper }}]{{ m.content.upper() }}{% endfor %}!",
    "date": (
        "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}{{ date_string }}"
        + _LOOP
        + "[{{ m.role }}]{{ m.content }}{% endfor %}!"
    ),
}


@pytest.mark.parametrize("name", NATIVE)
def test_a_chat_template_that_llama_cpp_fills(live, tmp_path, name):
    """What is computed for a model without a TEMPLATE is what the daemon has llama.cpp make."""
    tag = f"native-{name}"
    add_base(live.store, make_base(tmp_path / "native.gguf", chat=NATIVE[name]), tag=tag, template="")
    sent = base_in_store(live.store, tag, None).sent()
    conversations = [*PLAIN_CONVERSATIONS, *SPECIAL_CONVERSATIONS["Unicode spaces at the ends"]]
    with chat_renderer(datetime.now()) as renderer:
        for each in conversations:
            made = sent.fill(each, renderer)
            for path in ("/api/chat", "/v1/chat/completions"):
                got = live.daemon.rendered(tag, each.messages, path)
                assert sent.received(got) == made, (each.name, path)
