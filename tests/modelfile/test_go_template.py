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
        ("{{ .Prompt ", "{{ .Prompt  in its line 1: it never closes with }}"),
        ("a\nb {{ .Prompt }\n{{ .System }}", "{{ .Prompt } in its line 2: it never closes"),
        ("{{ .Prompt {{ .System }}", "never closes with }}"),
        ('{{ "a }}', 'the " in it never closes'),
        ('{{ "a\n" }}', 'the " in it never closes'),
        ('{{ "a\\" }}', 'the " in it never closes'),
        ("{{ `a }}", "the ` in it never closes"),
        ("{{/* a }}", "the comment never closes"),
        ("{{/* a */ .Prompt }}", "the comment never closes"),
        ("{{ if .A }}a", "{{ if .A }}a in its line 1: it has no {{ end }}"),
        ("{{ range .A }}{{ if .B }}{{ end }}", "{{ range .A }}"),
        ("{{ with .A }}{{ else }}", "it has no {{ end }}"),
        ('{{ block "a" . }}', "it has no {{ end }}"),
        ('{{ define "a" }}', "it has no {{ end }}"),
        ("{{ end }}", "nothing is open before it"),
        ("{{ if .A }}{{ end }}{{ end }}", "nothing is open before it"),
        ("{{ else }}", "nothing is open before it"),
        ("{{ if .A }}{{ else }}{{ else }}{{ end }}", "the if before it has an else already"),
        ("{{ if .A }}{{ else }}{{ else if .B }}{{ end }}", "the if before it has an else already"),
        ("{{ range .A }}{{ else if .B }}{{ end }}", "range takes no else if"),
        ("{{ if .A }}{{ else range .B }}{{ end }}", "if takes no else range"),
        ('{{ define "a" }}{{ else }}{{ end }}', "define takes no else"),
    ],
)
def test_broken(text, said):
    """What Go's parser refuses for an open or unpaired action is found, and shown with its line."""
    assert said in template_fault(text)


def test_a_long_action_is_cut():
    """The message shows where the action starts, not all of it."""
    assert f"{{{{ {'a' * 27}… in" in template_fault(f"{{{{ {'a' * 500}")


def test_refused_with_its_file():
    """A Modelfile with a broken TEMPLATE is refused with exit code 3, file and line."""
    with pytest.raises(InputError, match="no Go template") as caught:
        parse('FROM x\nTEMPLATE """{{ .Prompt """\n', where="Modelfile.txt")
    assert (caught.value.where, caught.value.exit_code) == ("Modelfile.txt, line 2", 3)
    assert parse("SYSTEM {{ .Prompt", where="x").value("SYSTEM") == "{{ .Prompt"
