"""The proof of the prompt: it holds for equal bytes alone, and shows the first byte that differs."""

from dataclasses import replace
from datetime import datetime

import pytest
from chat_examples import CHATML, SPECIAL, TEMPLATES

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS
from ollama_pack.chat.renderer import chat_renderer
from ollama_pack.chat.sent import sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.who_renders import PromptSource, Sender
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.verify.prompt import ComparedPrompt, prove_prompt, show_difference

TRAINED = ChatTemplate(CHATML, SPECIAL)
GO_CHATML = (
    '{{ if not (eq (index .Messages 0).Role "system") }}<|im_start|>system\nBe kind.<|im_end|>\n{{ end }}'
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)
OLD, NEW = (0, 12, 0), (0, 33, 0)


@pytest.fixture(scope="module")
def renderer():
    """Return what fills chat templates."""
    with chat_renderer(datetime(2026, 1, 2)) as running:
        yield running


def sent(version=NEW, adds_bos=False, **source):
    """Return how a model gets its prompts."""
    return sent_prompt(PromptSource(**source), version, ChatTemplate("", SPECIAL), adds_bos=adds_bos)


@pytest.mark.parametrize(
    "way",
    [
        {"template": GO_CHATML},
        {"template": GO_CHATML, "version": OLD},
        {"jinja": CHATML},
        {"jinja": CHATML + "{# tools #}", "template": "{{ .Prompt }}"},
        {"jinja": CHATML + "{# tools #}", "template": GO_CHATML, "parser": "passthrough"},
    ],
)
def test_equal_prompts_hold(renderer, way):
    """A TEMPLATE or a chat template that makes the trained bytes passes, on every plain conversation."""
    found = prove_prompt(TRAINED, sent(**way), renderer)
    assert (found.result.passed, found.result.figure, found.difference) == (True, 0.0, "")
    assert found.result.summary == "18 of 18 conversations byte-equal with the tokenizer's chat template"


@pytest.mark.parametrize(
    ("source", "at_least"),
    [
        ({"template": GO_CHATML.replace("Be kind.", "Be kind")}, 8),
        ({"template": GO_CHATML.replace("{{ .Content }}<", "{{ .Content }} <")}, 18),
        ({"template": GO_CHATML + "\n"}, 18),
        ({"template": "{{ .System }}{{ .Prompt }}"}, 18),
        ({"template": GO_CHATML, "jinja": "{% if tools %}{% endif %}"}, 18),
        ({"template": GO_CHATML, "adds_bos": True}, 18),
    ],
)
def test_one_other_byte_fails(renderer, source, at_least):
    """One byte that differs fails the proof, and the first conversation with one is named and shown."""
    found = prove_prompt(TRAINED, sent(**source), renderer)
    assert not found.result.passed
    assert found.result.figure >= at_least
    assert found.result.worst in {each.name for each in found.plain}
    assert found.difference.splitlines()[2].endswith("^")


def test_who_renders_depends_on_the_release(renderer):
    """The chat template of the base overrules a TEMPLATE since 0.30 alone, and the proof follows."""
    both = {"template": GO_CHATML, "jinja": "{% if tools %}{% endif %}"}
    assert (sent(OLD, **both).sender, sent(NEW, **both).sender) == (Sender.GO, Sender.JINJA)
    assert prove_prompt(TRAINED, sent(OLD, **both), renderer).result.passed
    assert not prove_prompt(TRAINED, sent(NEW, **both), renderer).result.passed


def test_begin_of_text_is_sent_once(renderer):
    """What the tokenizer adds counts: a TEMPLATE must not write it then, and a chat template may."""
    trained = ChatTemplate("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}", SPECIAL)
    left_out = "{{ range .Messages }}{{ .Content }}{{ end }}"
    written = "<s>" + left_out
    for template, adds, holds in ((written, False, True), (written, True, False), (left_out, True, True)):
        found = prove_prompt(trained, sent(template=template, adds_bos=adds), renderer)
        assert found.result.passed is holds
    assert prove_prompt(trained, sent(jinja=trained.text, adds_bos=True), renderer).result.passed


def test_system_of_the_model_is_in_both(renderer):
    """The SYSTEM of a model is put before conversations that have none, on both sides."""
    with_system = replace(sent(template=GO_CHATML), system="Speak Latin.")
    assert with_system.given(PLAIN_CONVERSATIONS[0]).messages[0] == {
        "role": "system",
        "content": "Speak Latin.",
    }
    assert prove_prompt(TRAINED, with_system, renderer).result.passed


def test_what_was_never_trained_is_not_counted(renderer):
    """Conversations that the trained template refuses are told, and decide nothing."""
    trained = ChatTemplate(TEMPLATES["refuses"])
    found = prove_prompt(trained, sent(template="{{ range .Messages }}{{ .Content }}{{ end }}"), renderer)
    assert found.result.passed
    assert "10 of 10" in found.result.summary
    assert "8 it does not take" in found.result.summary


def test_special_conversations_are_apart(renderer):
    """Neighbours that Ollama merges are no equal prompts, and do not fail the proof."""
    found = prove_prompt(TRAINED, sent(template=GO_CHATML), renderer)
    assert found.result.passed
    assert not any(each.is_equal for each in found.special["two users in a row"])
    assert all(each.is_equal for each in found.special["thinking in an answer"])


def test_what_cannot_be_computed_is_said(renderer):
    """A renderer of Ollama's own is no silent success."""
    with pytest.raises(UnsupportedError, match="renderer qwen3-coder"):
        prove_prompt(TRAINED, sent(renderer="qwen3-coder"), renderer)
    with pytest.raises(UnsupportedError, match="neither a TEMPLATE nor"):
        prove_prompt(TRAINED, sent(), renderer)
    with pytest.raises(InputError, match="chat template"):
        prove_prompt(ChatTemplate("{% if %}"), sent(template=GO_CHATML), renderer)


def test_a_template_that_ollama_cannot_execute_fails(renderer):
    """A conversation that Ollama fails on differs; it is not skipped."""
    found = prove_prompt(TRAINED, sent(template="{{ range .Messages }}{{ .Nothing }}{{ end }}"), renderer)
    assert found.result.figure == 18.0
    assert "sent     nothing" in found.difference


def test_the_caret_stands_below_the_difference():
    """The caret stands below the first character that differs, also far inside and at an end."""
    for trained, got in (("x" * 99 + "\nab", "x" * 99 + "\nac"), ("ab", "a"), ("", "b")):
        lines = show_difference(ComparedPrompt("x", trained, got)).splitlines()
        at = lines[2].index("^")
        assert lines[0][:at] == "trained".ljust(9) + lines[1][9:at]
        assert lines[0][at:] != lines[1][at:]


def test_a_fault_in_a_special_conversation_is_told_apart(renderer):
    """A chat template that fails on tools is compared on all plain conversations, and takes no tools."""
    faulty = ChatTemplate(CHATML + "{% if tools %}{{ tools.nothing.at_all }}{% endif %}", SPECIAL)
    found = prove_prompt(faulty, sent(template=GO_CHATML), renderer)
    assert found.result.passed
    assert not any(each.is_defined for each in found.special["tools"])
