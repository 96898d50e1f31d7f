"""A TEMPLATE's actions are checked as Go reads them, before Ollama ever sees them."""

import pytest

from ollama_pack.errors import InputError
from ollama_pack.modelfile.go_template import template_fault
from ollama_pack.modelfile.parser import parse


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no action }} at all {",
        "{{ .Prompt }}",
        "{{.Prompt}}{{- .Response -}}",
        "{{ if .System }}a{{ end }}",
        "{{- if .System -}}a{{- else if .Prompt -}}b{{- else -}}c{{- end -}}",
        "{{ with .A }}{{ else with .B }}{{ else }}{{ end }}",
        "{{ range $i, $_ := .Messages }}{{ if $i }}{{ break }}{{ end }}{{ else }}none{{ end }}",
        '{{ define "a" }}{{ block "b" . }}{{ end }}{{ end }}{{ template "a" }}',
        '{{if(eq .Role "user")}}{{end}}',
        '{{ "}}" }}{{ "a\\"}}" }}{{ `}}"` }}',
        "{{ if eq .Role '}' }}{{ end }}",
        '{{/* {{ if }} " */}}',
        "{{- /* {{ range }}\n */ -}}",
        "{{ `\n` }}",
        "{{ .if }}{{ $end }}{{ printf `{{ end }}` }}",
        "{{ json .Content }}{{\n.Prompt\n}}",
        "{{ ifelse }}{{ ended }}",
    ],
)
def test_sound(text):
    """What Go parses is accepted, whatever stands in its texts and comments."""
    assert template_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ .Prompt ", "line 1 of it, {{ .Prompt : it is not closed with }}"),
        ("a\nb {{ .Prompt }\n{{ .System }}", "line 2 of it, {{ .Prompt }: it is not closed"),
        ("{{ .Prompt {{ .System }}", "is not closed with }}"),
        ('{{ "a }}', 'a " in it is not closed'),
        ('{{ "a\n" }}', 'a " in it is not closed'),
        ('{{ "a\\" }}', 'a " in it is not closed'),
        ("{{ `a }}", "a ` in it is not closed"),
        ("{{/* a }}", "the comment is not closed"),
        ("{{/* a */ .Prompt }}", "the comment is not closed"),
        ("{{ if .A }}a", "line 1 of it, {{ if .A }}a: its {{ end }} is missing"),
        ("{{ range .A }}{{ if .B }}{{ end }}", "{{ range .A }}"),
        ("{{ with .A }}{{ else }}", "its {{ end }} is missing"),
        ('{{ block "a" . }}', "its {{ end }} is missing"),
        ('{{ define "a" }}', "its {{ end }} is missing"),
        ("{{ end }}", "no action is open before it"),
        ("{{ if .A }}{{ end }}{{ end }}", "no action is open before it"),
        ("{{ else }}", "no action is open before it"),
        ("{{ if .A }}{{ else }}{{ else }}{{ end }}", "the if before it has an else already"),
        ("{{ if .A }}{{ else }}{{ else if .B }}{{ end }}", "the if before it has an else already"),
        ("{{ range .A }}{{ else if .B }}{{ end }}", "range cannot have an else if"),
        ("{{ if .A }}{{ else range .B }}{{ end }}", "if cannot have an else range"),
        ('{{ define "a" }}{{ else }}{{ end }}', "define cannot have an else"),
    ],
)
def test_broken(text, said):
    """What Go's parser refuses for an open or unpaired action is found, and shown with its line."""
    assert said in template_fault(text)


def test_a_long_action_is_cut():
    """The message shows where the action starts, not all of it."""
    assert f"{{{{ {'a' * 27}…: " in template_fault(f"{{{{ {'a' * 500}")


def test_refused_with_its_file():
    """A Modelfile with a broken TEMPLATE is refused with exit code 3, file and line."""
    with pytest.raises(InputError, match="not a valid Go template") as caught:
        parse('FROM x\nTEMPLATE """{{ .Prompt """\n', where="Modelfile.txt")
    assert (caught.value.where, caught.value.exit_code) == ("Modelfile.txt, line 2", 3)
    assert parse("SYSTEM {{ .Prompt", where="x").value("SYSTEM") == "{{ .Prompt"
