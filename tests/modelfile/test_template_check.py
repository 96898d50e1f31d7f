"""What a Go template says that Ollama does not know: told, and nothing told of templates that are right."""

import pytest

from ollama_pack.modelfile.go_template import template_parts
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.template import TemplateFields, fill_template, find_template, template_names
from ollama_pack.modelfile.template_check import template_problems

WRONG = [
    (
        r"User: {{.Input}}\n\nAssistant:",
        ["neither .Prompt nor", "no field .Input; the", r"\n is a"],
    ),
    ("{{ .System }}", ["neither .Prompt nor .Messages"]),
    ("{{ .prompt }}", ["neither", "no field .prompt (did you mean .Prompt?)"]),
    ("{{ range .Messages }}{{ .role }}{{ .Text }}{{ end }}", ["no field .role (did", "no field .Text; the"]),
    ("{{ $.Message }}{{ .Prompt }}", ["no field .Message (did you mean .Messages?)"]),
    ('{{ "{{ .Prompt }}" }}', ["neither"]),
    ("{{/* .Prompt */}}x", ["neither"]),
    ("{{ .Prompt | trim }}", ["no function trim in a TEMPLATE"]),
    ("{% for m in messages %}{{ .Prompt }}", ["{% for m in messages %} is Jinja"]),
    ("{{ .Prompt }}\\t", [r"\t is a backslash"]),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_wrong(text, told):
    """Each is told once, in order, with the fields that there are or the one that was meant."""
    found = list(template_problems(text))
    assert [said in problem for said, problem in zip(told, found, strict=True)] == [True] * len(told)


RIGHT = [
    "{{ .Prompt }}",
    '{{ if .System }}{{ .System }}\n{{ end }}{{ printf "%s\\n" .Prompt }}{{ .Response }}',
    "{{- range $i, $m := .Messages }}{{ $m.Role }}{{ $m.Content }}{{ end -}}",
    "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments.city }}{{ end }}{{ end }}",
    '{{ if and (eq .Role "user") (lt 1.5 2.0) }}{{ $.Messages }}{{ else if not .Tools }}{{ break }}{{ end }}',
    "{{ range .Messages }}{{ else }}{{ currentDate }}{{ json . }}{{ nil }}{{ end }}{{ slice .Prompt 1 2 }}",
    '{{ define "turn" }}{{ .Content }}{{ end }}{{ template "turn" . }}{{ .Prompt }}{{ .Suffix }}',
    "{{ range .Tools }}{{ range $k, $v := .Function.Parameters.Properties }}{{ $v.Type }}{{ .Prompt }}",
    "{{ toTypeScriptType .Tools }}{{ .Prompt }}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right(text):
    """Nothing is told of what Ollama knows."""
    assert list(template_problems(text)) == []


@pytest.mark.parametrize("name", template_names())
def test_shipped_templates_are_right(name):
    """Nothing is told of the templates that are shipped."""
    made = parse(fill_template(find_template(name), TemplateFields(base="x")), where=name)
    if made.value("TEMPLATE"):
        assert list(template_problems(made.value("TEMPLATE"))) == []


def test_parts():
    """The parts of a template are its texts and its actions, in order, without comments and signs."""
    text = 'a{{- /* no */ -}}b{{ "}}" }}c{{- .X -}}'
    parts = list(template_parts(text))
    assert [part.strip() for is_action, part in parts if is_action] == ['"}}"', ".X"]
    assert "".join(part for is_action, part in parts if not is_action) == "abc"
