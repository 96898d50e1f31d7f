"""Go templates that show one thing each: what templates of Ollama do, and what Go does not accept."""

CHAT = {
    "System": "Be brief.",
    "Messages": [
        {"$struct": {"Role": "system", "Content": "Be brief.", "Calls": None}},
        {"$struct": {"Role": "user", "Content": "  Grüße, \n", "Calls": None}},
        {"$struct": {"Role": "assistant", "Content": "<think>x</think>\nok", "Calls": [{"name": "f"}]}},
        {"$struct": {"Role": "user", "Content": "bye", "Calls": None}},
    ],
    "Tools": {"$list": [{"name": "f", "parameters": {"type": "object"}}]},
    "Empty": "",
    "N": 3,
}
TRIM = """{{- define "trim" -}}
{{- $s := . -}}{{- $from := len $s -}}{{- $to := 0 -}}
{{- range $i := len $s -}}{{- $c := slice $s $i -}}{{- $c = slice $c 0 1 -}}
{{- if not (or (eq $c " ") (eq $c "\\n")) -}}{{- if lt $i $from -}}{{- $from = $i -}}{{- end -}}
{{- $to = $i -}}{{- end -}}{{- end -}}
{{- if lt $from (len $s) -}}{{- $end := len (printf "%*s" $to "x") -}}
{{- if eq $to 0 -}}{{- $end = 1 -}}{{- else -}}{{- $end = len (printf "a%*s" $to "x") -}}{{- end -}}
{{- slice $s $from $end -}}{{- end -}}{{- end -}}
"""
HAND_WRITTEN = [
    {"template": text, "data": CHAT, "bare": False}
    for text in (
        "{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}<|end|>\n{{ end }}<|assistant|>",
        "{{- range $i, $m := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}{{ $last }}{{ end }}",
        '{{ range $i, $_ := .Messages }}{{ len (printf "a%*s" $i "") }},{{ end }}',
        '{{ range .Messages }}{{ if eq .Role "user" "b" }}{{ else if eq .Role "system" }}S{{ end }}{{ end }}',
        "{{ with .Tools }}{{ . }}{{ range . }}{{ json . }}{{ .name }}{{ end }}{{ end }}",
        "{{ (index .Messages 0).Content }}{{ (index .Messages 9).Content }}",
        "{{ index .Messages 1 | json }}",
        f'{TRIM}{{{{ range .Messages }}}}[{{{{ template "trim" .Content }}}}]{{{{ end }}}}',
        '{{ slice currentDate 0 4 }}{{ yesterdayDate "x" }}{{ currentDate 1 }}',
        "{{ .System }}{{- /* said */ -}} {{ .Missing }}{{ .Missing.X }}",
        (
            "{{ range $i, $m := .Messages }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ if eq $i 3 }}"
            "{{ break }}{{ end }}{{ $i }}{{ end }}"
        ),
        "{{ $x := 0 }}{{ range .Messages }}{{ $x = .Role }}{{ end }}{{ $x }}",
        (
            "{{ range .N }}{{ . }}{{ end }}{{ range $i := 2 }}{{ $i }}{{ else }}none{{ end }}"
            "{{ range 0 }}{{ else }}none{{ end }}"
        ),
        (
            '{{ "\\x41\\101\\u00e9\\U0001F600\\t\\"" }}{{ `raw\\n` }}{{ \'é\' }}{{ 017 }}'
            "{{ 1_000 }}{{ 0b11 }}{{ +3 }}{{ .5 }}"
        ),
        (
            "{{ if and .Tools (not .Empty) }}{{ or .Empty .System | len }}{{ end }}"
            '{{ 1e6 }} {{ 123456.5 }} {{ 1e-7 }} {{ print 1 2 "a" nil }}'
        ),
        '{{ printf "%s|%5d|%-4s|%v|%t|%%" .System 3 "ä" .N true }}{{ printf "%s" }}',
        (
            '{{ template "a" . }}{{ define "a" }}{{ $.System }}{{ template "b" }}{{ end }}'
            '{{ define "b" }}{{ . }}{{ end }}'
        ),
        "{{ len .Messages }}{{ len 3 }}",
        "{{ lt 1 2.0 }}",
        "{{ eq .Messages .Tools }}",
        "{{ eq .Missing nil }}{{ eq 1 .Missing }}",
        "{{ .Messages.Role }}",
        "{{ range .System }}{{ end }}",
        "{{ nil }}",
        "{{ .System 1 }}",
        "{{ 3 | 4 }}",
        "{{ $x = 1 }}",
        "a {{",
        "{{ if .System }}",
        "{{ end }}",
        "{{ else }}",
        "{{ .X+1 }}",
        "{{ (.X }}",
        "{{ .X) }}",
        '{{ "a }}',
        "{{/* a }}",
        "{{ }}",
        "{{ if .N }}{{ else with .N }}{{ end }}",
        "{{ range .N }}{{ else range .N }}{{ end }}",
        "{{ break }}",
        "{{ foo }}",
        "{{ $y }}",
        '{{ if .N }}{{ define "x" }}{{ end }}{{ end }}',
        '{{ define "x" }}a{{ end }}{{ define "x" }}b{{ end }}',
        "{{ range $i, $m, $x := .N }}{{ end }}",
        "{{ if $x, $y := .N }}{{ end }}",
        "{{ true.X }}",
        "{{ | len }}",
        "{{ len | }}",
    )
]
"""Cases that show one thing each: what templates of Ollama do, and what Go does not accept."""
