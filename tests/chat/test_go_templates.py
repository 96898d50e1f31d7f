"""Go templates: what our engine makes of them is what Go's own text/template makes."""

import json
from datetime import date
from pathlib import Path

import pytest
from go_cases import make_case
from go_program import GO, GoProgram
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_pack.chat.go_evaluator import GoSettings
from ollama_pack.chat.go_interpreter import execute_go
from ollama_pack.chat.go_parser import parse_go
from ollama_pack.chat.go_values import GoList, GoMap, GoStruct, go_value
from ollama_pack.errors import InputError, UnsupportedError

CASES = json.loads((Path(__file__).parents[1] / "goldens" / "go-templates.json").read_text("utf-8"))
MESSAGE_KEYS = tuple((name, name, False) for name in ("Role", "Content", "Calls"))
TODAY = date(2026, 1, 2)


def typed(value):
    """Return what the Go program makes of the data of a case."""
    if isinstance(value, list):
        return GoList(tuple(typed(item) for item in value))
    if not isinstance(value, dict):
        return go_value(value)
    if fields := value.get("$struct"):
        calls = GoList(is_nil=True) if fields["Calls"] is None else typed(fields["Calls"])
        texts = {name: go_value(fields[name]) for name in ("Role", "Content")}
        return GoStruct({**texts, "Calls": calls}, MESSAGE_KEYS, is_opaque=True)
    if "$list" in value:
        return GoList(tuple(typed(item) for item in value["$list"]), as_json=True)
    if "$nil" in value:
        return GoList(is_nil=True, as_json=True)
    return GoMap({key.encode(): typed(item) for key, item in value.items()})


def executed(case):
    """Return what our engine makes of a case: bytes, None for an error, or the word for what it has not."""
    try:
        return execute_go(
            parse_go(case["template"]), typed(case["data"]), GoSettings(TODAY, is_bare=case["bare"])
        )
    except InputError:
        return None
    except UnsupportedError:
        return "unsupported"


def rendered(text, data=None, **limits):
    """Return what a template makes of plain data."""
    return execute_go(parse_go(text), go_value(data or {}), GoSettings(TODAY, **limits))


def test_recorded_outputs():
    """On recorded templates the outputs and the errors are Go's; few are refused by name."""
    refused = 0
    for case in CASES:
        got = executed(case)
        refused += got == "unsupported"
        want = None if case["out"] is None else case["out"].encode("latin-1")
        assert got in (want, "unsupported"), case
    assert sum(case["out"] is not None for case in CASES) > 250
    assert refused < len(CASES) * 0.08


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """Return the Go program, which is compiled here."""
    program = GoProgram(tmp_path_factory.mktemp("go"))
    yield program
    program.close()


@pytest.mark.property
@pytest.mark.skipif(GO is None, reason="needs Go on the PATH; the recorded outputs are compared elsewhere")
def test_go_law(go):
    """On any template and data, our engine makes what Go makes, fails where it fails, or refuses by name."""

    @settings(max_examples=250)
    @given(st.randoms(note_method_calls=False, use_true_random=False))
    def law(source):
        case = make_case(source)
        got = executed(case)
        if got != "unsupported":
            assert got == go.ask(case), case

    law()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{{ block "x" . }}{{ end }}', "block"),
        ("{{ urlquery .X }}", "urlquery"),
        ("{{ call .X }}", "call"),
        ("{{ toTypeScriptType .X }}", "toTypeScriptType"),
        ('{{ printf "%x" "a" }}', "%x"),
        ('{{ printf "%d" "a" }}', "%d"),
        ('{{ printf "%s" }}', "fewer values"),
        ("{{ 99999999999999999999 }}", "99999999999999999999"),
        ("{{ slice .L 0 1 1 }}", "slice with 3 indices"),
        ('{{ define "" }}a{{ end }}', "define without a name"),
        ("{{ if .A }}" * 70 + "{{ end }}" * 70, "levels of nesting"),
        ("{{ " + "(" * 70 + ")" * 70 + " }}", "levels of nesting"),
        ('{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}', "levels deep"),
        ("{{ json (slice .A 1) }}", "cut inside a character"),
    ],
)
def test_what_is_not_supported_is_named(text, named):
    """What the engine has not is refused with its name and its line, and never guessed."""
    with pytest.raises(UnsupportedError, match="cannot be computed") as error:
        rendered(f"\n\n{text}", {"A": "é", "L": [1]})
    assert named in error.value.what
    assert error.value.where == "TEMPLATE, line 3"


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 1000000000 }}{{ end }}",
        "{{ range 3000 }}{{ range 3000 }}{{ end }}{{ end }}",
        "{{ range 100000 }}0123456789abcdef{{ end }}",
        '{{ $x := "0123456789" }}{{ range 60 }}{{ $x = printf "%s%s" $x $x }}{{ end }}',
        '{{ range 9000 }}{{ $y := printf "%900000s" "" }}{{ end }}',
    ],
)
def test_strangers_are_bounded(text):
    """A template that would take forever, or fill the memory, is given up."""
    with pytest.raises(UnsupportedError, match=r"(takes|makes) more than"):
        rendered(text, most_steps=50_000, most_bytes=1_000_000)


@pytest.mark.parametrize(
    ("text", "line"), [("a\n{{ .X", 2), ("{{ if .A }}\n\n{{ foo }}{{ end }}", 3), ("\n{{ index .A 7 }}", 2)]
)
def test_faults_have_a_line(text, line):
    """What Go would not accept, or not execute, is an error with the line."""
    with pytest.raises(InputError) as error:
        rendered(text, {"A": "é"})
    assert error.value.where == f"TEMPLATE, line {line}"
