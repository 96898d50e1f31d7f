"""Go templates of our own, of the kinds that models of Ollama have."""

GO_PROMPTS = {
    "messages": (
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
        "<|im_start|>assistant\n"
    ),
    "messages and system": (
        "{{ if .System }}<s>{{ .System }}</s>{{ end }}{{ range $i, $m := .Messages }}"
        "{{- $last := eq (len (slice $.Messages $i)) 1 -}}"
        '{{ if eq .Role "user" }}[{{ .Content }}]{{ else if eq .Role "assistant" }}({{ .Content }})'
        "{{ end }}{{ if $last }}>{{ end }}{{ end }}"
    ),
    "turns": (
        "{{ if .System }}<|system|>{{ .System }}</s>{{ end }}"
        "{{ if .Prompt }}<|user|>{{ .Prompt }}</s>{{ end }}<|assistant|>{{ .Response }}</s>"
    ),
    "turns without a response": "{{ .System }} USER: {{ .Prompt }} ASSISTANT:",
    "turns with a branch": "{{ if .First }}{{ end }}{{ .Prompt }}{{ if .Prompt }}|{{ .Response }}|{{ end }}!",
    "turns with an else": "{{ .Prompt }}{{ if .Prompt }}{{ .Response }}{{ else }}-{{ end }}!",
    "turns with json": "{{ json .Prompt }}{{ .Response }}",
    "turns with a define": '{{ template "u" .Prompt }}{{ .Response }}{{ define "u" }}<{{ . }}>{{ end }}',
    "no value in template": '{{ range .Messages }}{{ end }}{{ template "u" }}{{ define "u" }}x{{ end }}',
    "names in parentheses": "{{ (index .Messages 0).Content }}{{ (index .Messages 0).Response }}",
    "hidden messages": "{{ with $.Messages }}{{ (index . 0).Role }}{{ end }}{{ .Prompt }}{{ .System }}",
    "tools": (
        "{{ if .Tools }}{{ .Tools }}\n{{ range .Tools }}{{ . }}\n{{ .Function }}\n"
        "{{ json .Function.Parameters }}\n"
        "{{ range $n, $p := .Function.Parameters.Properties }}{{ $n }}:{{ $p.Type }}"
        ":{{ $p.Description }}{{ end }}"
        "{{ end }}{{ else }}none{{ .Tools }}{{ end }}{{ range .Messages }}{{ .Content }}"
        "{{ range .ToolCalls }}{{ .Function.Name }}{{ .Function.Arguments }}{{ json .ID }}{{ end }}{{ end }}"
    ),
    "thinking": (
        "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}"
        "{{ .Content }}{{ end }}"
        "{{ if and .IsThinkSet .Think }}/think{{ else if .IsThinkSet }}/no_think{{ end }}"
    ),
}
