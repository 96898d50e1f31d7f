"""The ``define``s of a Go TEMPLATE that trim a text as Python's ``strip`` does; Go has no such function.

A text is examined byte by byte with ``slice``. White space of several bytes is recognised by these bytes.
"""

_ONE = r'"\t" "\n" "\v" "\f" "\r" "\x1c" "\x1d" "\x1e" "\x1f" " "'
_TWO = r'"\u0085" "\u00a0"'
_THREE = " ".join(
    [
        *(r'"\u1680"', *(rf'"\u200{digit:x}"' for digit in range(11))),
        r'"\u2028" "\u2029" "\u202f" "\u205f" "\u3000"',
    ]
)
_WIDTH = (
    f"{{{{ $n := 0 }}}}{{{{ if and $c (eq (slice $c 0 1) {_ONE}) }}}}{{{{ $n = 1 }}}}"
    f"{{{{ else if and (ge (len $c) 2) (eq (slice $c 0 2) {_TWO}) }}}}{{{{ $n = 2 }}}}"
    f"{{{{ else if and (ge (len $c) 3) (eq (slice $c 0 3) {_THREE}) }}}}{{{{ $n = 3 }}}}{{{{ end }}}}"
)
"""Sets ``$n`` to the number of bytes of the white space that ``$c`` begins with."""

_LEFT = (
    "{{ $c := $s }}{{ $on := true }}{{ range len $s }}{{ if $on }}"
    + _WIDTH.replace("$c", "$s")
    + "{{ if $n }}{{ $s = slice $s $n }}{{ else }}{{ $on = false }}{{ end }}{{ end }}{{ end }}"
)
_RIGHT = (
    "{{ $end := 0 }}{{ $word := false }}{{ $rest := len $s }}{{ range $i := len $s }}"
    "{{ $c := slice $s $i }}{{ if $word }}{{ $end = $i }}{{ $word = false }}{{ end }}"
    "{{ if le (len $c) $rest }}" + _WIDTH + "{{ if $n }}{{ $rest = len (slice $c $n) }}"
    "{{ else }}{{ $word = true }}{{ end }}{{ end }}{{ end }}"
    "{{ if $word }}{{ $end = len $s }}{{ end }}{{ slice $s 0 $end }}"
)
TRIM_DEFINE = '{{ define "trim" }}{{ $s := . }}' + _LEFT + _RIGHT + "{{ end }}"
"""The definition of ``trim``, which a TEMPLATE executes as ``{{ template "trim" .Content }}``."""

TRIM_DEFINES = (
    TRIM_DEFINE + '{{ define "trimLeft" }}{{ $s := . }}' + _LEFT + "{{ $s }}{{ end }}"
    '{{ define "trimRight" }}{{ $s := . }}' + _RIGHT + "{{ end }}"
)
"""The definitions of ``trim``, ``trimLeft`` and ``trimRight``; Ollama 0.5.13 and later execute them."""
