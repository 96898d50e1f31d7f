"""Switching templates in place, and values of several lines in templates of the user's own."""

import pytest

from ollama_pack.errors import InputError
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.syntax import print_modelfile
from ollama_pack.modelfile.template import (
    Template,
    TemplateFields,
    compose_modelfile,
    fill_template,
    find_template,
    template_names,
)


def template(text: str) -> Template:
    """Return a template of the user's own."""
    return Template("mine", "mine.Modelfile", text)


@pytest.mark.parametrize("names", [("vicuna", "chatml", "alpaca"), ("inherit", "llama3", "zephyr")])
def test_switching_in_place(names):
    """Another template takes TEMPLATE, stops and heading of the last one away, nothing of the author's."""
    made = parse("FROM x\r\n# mine\r\nPARAMETER stop END\r\n", where="x")
    for name in names:
        made = compose_modelfile(made, find_template(name), TemplateFields(), chosen=True)
    fresh = parse(fill_template(find_template(names[-1]), TemplateFields(base="x")), where="x")
    assert made.value("TEMPLATE") == fresh.value("TEMPLATE")
    assert made.values("PARAMETER", "stop") == ("END", *fresh.values("PARAMETER", "stop"))
    assert [entry.head for entry in made.entries if not entry.command] == ["# mine"]


@pytest.mark.parametrize("name", template_names())
def test_switching_what_a_template_made(name):
    """A Modelfile made of a shipped template alone, switched to another, has no word of the first."""
    first = compose_modelfile(None, find_template(name), TemplateFields(base="x"))
    other = "zephyr" if name == "vicuna" else "vicuna"
    fresh = fill_template(find_template(other), TemplateFields(base="x"))
    switched = print_modelfile(compose_modelfile(first, find_template(other), TemplateFields(), chosen=True))
    assert sorted(switched.splitlines()) == sorted([*fresh.splitlines()[1:], 'SYSTEM ""'])


def test_back_to_inherit():
    """An inherit that was asked for removes the TEMPLATE of a shipped template, with its stops."""
    made = compose_modelfile(
        parse("FROM x\nPARAMETER stop END\n", where="x"), find_template("gemma"), TemplateFields()
    )
    assert compose_modelfile(made, find_template("inherit"), TemplateFields()) == made
    back = compose_modelfile(made, find_template("inherit"), TemplateFields(), chosen=True)
    assert print_modelfile(back) == "FROM x\nPARAMETER stop END\n"


def test_inherit_takes_the_template_of_the_base():
    """A TEMPLATE of the author's gives way to an option; without the option it stays."""
    author = parse("FROM x\nTEMPLATE {{ .Prompt }}\nPARAMETER stop USER:\n", where="x")
    made = compose_modelfile(author, find_template("inherit"), TemplateFields(), chosen=True)
    assert print_modelfile(made) == "FROM x\nPARAMETER stop USER:\n"
    assert compose_modelfile(author, find_template("inherit"), TemplateFields()) == author


def test_parameters_print_themselves():
    """The field parameters, printed, is its PARAMETER lines, quoted where needed; empty it is nothing."""
    many = TemplateFields(base="x", parameters=(("top_k", "1"), ("stop", " END"), ("stop", "a\nb")))
    made = compose_modelfile(None, template("FROM x\n[[ parameters ]]\n"), many)
    assert [(found.key, found.value) for found in made.commands[1:]] == list(many.parameters)
    assert fill_template(template("[[ parameters ]]\n"), TemplateFields()) == "\n"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("SYSTEM [[ system ]]", "[[ system|quoted ]]"),
        ("[% for k, v in parameters %]PARAMETER [[ k ]] [[ v ]]\n[% endfor %]", "[[ value|quoted ]]"),
    ],
)
@pytest.mark.parametrize("value", ["a\nb", "a\rPARAMETER top_k 1", "a\n# b\nSYSTEM c"])
def test_lines_without_quotes(line, hint, value):
    """A value of several lines that would run into the next command is refused with its field."""
    filled = TemplateFields(base="x", system=value, parameters=(("stop", value),))
    with pytest.raises(
        InputError, match=f"field {'system' if 'system' in line else 'parameters'} "
    ) as caught:
        compose_modelfile(None, template(f"FROM x\n{line}"), filled)
    assert caught.value.where == "mine.Modelfile"
    assert hint in caught.value.hint


def test_lines_within_quotes():
    """Quotes of the template's own hold a value of several lines."""
    made = compose_modelfile(
        None, template('FROM x\nSYSTEM """[[ system ]]"""'), TemplateFields(base="x", system="a\nb")
    )
    assert made.value("SYSTEM") == "a\nb"
