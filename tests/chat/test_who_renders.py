"""Who makes the prompt, by Ollama's own rules, and what it thinks that templates can do."""

import pytest

from ollama_pack.chat.go_capabilities import go_capabilities, thinking_tags
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.chat.who_renders import (
    PromptSource,
    Sender,
    jinja_capabilities,
    read_go_template,
    who_renders,
)

PLAIN, OLD, NEW = "{{ range .Messages }}{{ .Content }}{{ end }}", (0, 29, 9), (0, 30, 0)
TOOLS = "{% if tools %}{{ tools }}{% endif %}"
ROUND_TRIP = "{% if tools %}{{ message.tool_calls }}<tool_response>{% endif %}"
GO_TOOLS = "{{ .Tools }}" + PLAIN
GO_ROUND_TRIP = '{{ .Tools }}{{ range .Messages }}{{ .ToolCalls }}{{ if eq .Role "tool" }}{{ end }}{{ end }}'
GO_THINKING = "{{ range .Messages }}{{ if .Thinking }}<think> {{ .Thinking }} </think>{{ end }}{{ end }}"


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (PromptSource(PLAIN), Sender.GO, Sender.GO),
        (PromptSource(PLAIN, jinja="{{ messages }}"), Sender.GO, Sender.GO),
        (PromptSource(PLAIN, jinja=TOOLS), Sender.GO, Sender.JINJA),
        (PromptSource(PLAIN, jinja=TOOLS, parser="passthrough"), Sender.GO, Sender.GO),
        (PromptSource(PLAIN, jinja=TOOLS, renderer="qwen3.5"), Sender.RENDERER, Sender.RENDERER),
        (PromptSource(GO_TOOLS, jinja=TOOLS), Sender.GO, Sender.GO),
        (PromptSource(GO_TOOLS, jinja=ROUND_TRIP), Sender.GO, Sender.JINJA),
        (PromptSource(GO_ROUND_TRIP, jinja=ROUND_TRIP), Sender.GO, Sender.GO),
        (PromptSource(GO_ROUND_TRIP, jinja=TOOLS + "<think></think>"), Sender.GO, Sender.GO),
        (PromptSource(GO_ROUND_TRIP, jinja=ROUND_TRIP + "<think></think>"), Sender.GO, Sender.JINJA),
        (PromptSource(GO_THINKING, jinja="<think></think>"), Sender.GO, Sender.GO),
        (PromptSource(None, jinja=TOOLS), Sender.GO, Sender.JINJA),
        (PromptSource("<|start|>{{ .Prompt }}<|end|>", family="gptoss"), Sender.RENDERER, Sender.RENDERER),
    ],
)
def test_who_renders(source, old, new):
    """A chat template that can do more overrules a TEMPLATE from 0.30 on; a parser or renderer settles it."""
    assert (who_renders(source, OLD), who_renders(source, NEW), who_renders(source, None)) == (old, new, new)


def test_the_environment_decides():
    """OLLAMA_GO_TEMPLATE decides for a model that has both."""
    both = PromptSource(PLAIN, jinja=TOOLS)
    assert who_renders(both, NEW, go_template=True) is Sender.GO
    assert who_renders(PromptSource(PLAIN, jinja="x"), NEW, go_template=False) is Sender.JINJA


@pytest.mark.parametrize(
    ("jinja", "able"),
    [
        ("{{ messages }}", set()),
        ("{{ tool_call }}", {"tools"}),
        ("<think>", set()),
        ("<think> </think> tools", {"tools", "thinking"}),
        ("{{ content.split('</think>')[-1] }}", {"thinking"}),
        ("{{ content.split('</think>')[-1] }}{{ reasoning_content }}", set()),
    ],
)
def test_what_a_chat_template_can_do(jinja, able):
    """Ollama looks for words, and so do we."""
    assert jinja_capabilities(jinja) == able


@pytest.mark.parametrize(
    ("text", "able", "tags"),
    [
        (PLAIN, set(), ("", "")),
        ("{{ .Prompt }}{{ .Suffix }}", {"insert"}, ("", "")),
        (GO_THINKING, {"thinking"}, ("<think>", "</think>")),
        ("{{ .Thinking }}", set(), ("", "")),
        ("{{ range .Others }}a{{ .Thinking }}b{{ end }}", set(), ("", "")),
        ("{{ range .Messages }}a{{ .Thinking }}{{ end }}", set(), ("a", "")),
    ],
)
def test_what_a_template_can_do(text, able, tags):
    """The names in a TEMPLATE, and the texts around the thinking in its messages, say what it can do."""
    prompt = read_go_prompt(text)
    assert (go_capabilities(prompt), thinking_tags(prompt)) == (able, tags)


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, None), ("", None), (" ", None), ("1", True), ('"0"', False), ("False", False), ("no", True)],
)
def test_the_variable_is_read_as_ollama_reads_it(text, says):
    """Go's ParseBool with blanks and quotes around it; what is no truth value means yes."""
    assert read_go_template({} if text is None else {"OLLAMA_GO_TEMPLATE": text}) is says
