"""Hostile inputs that made a reader quadratic: twice the input is twice the steps, counted and not timed."""

import struct

import pytest
from gguf_bytes import gguf

from ollama_pack.errors import InputError
from ollama_pack.formats import untrusted_json as untrusted
from ollama_pack.gguf.reader import MOST_WALKED, read_gguf
from ollama_pack.modelfile import parser, syntax
from ollama_pack.modelfile.parser import parameters, parse
from ollama_pack.modelfile.syntax import Modelfile, print_modelfile
from ollama_pack.modelfile.template import TemplateFields, compose_modelfile, find_template
from ollama_pack.modelfile.template_check import template_problems


def test_stop_lines_are_gathered_once(monkeypatch):
    """The commands are walked a fixed number of times, however many PARAMETER stop lines there are."""
    calls = []
    commands = Modelfile.commands.fget
    monkeypatch.setattr(Modelfile, "commands", property(lambda self: calls.append(1) or commands(self)))
    counts = []
    for lines in (100, 200):
        calls.clear()
        text = "FROM x\n" + "".join(f"PARAMETER stop s{number}\n" for number in range(lines))
        assert len(parameters(parse(text, where="x"))["stop"]) == lines
        counts.append(len(calls))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("line", ["# a comment\n", "FROM x\n", "LICENSE y\n", "\n"])
def test_completing_a_modelfile_parses_what_is_new(line, monkeypatch):
    """The author's lines are not parsed again for each command that is set, however many there are."""
    template, read = find_template("chatml"), []
    parse_lines = syntax.read_entries

    def counting(text, where):
        read.append(text.count("\n") + 1)
        return parse_lines(text, where)

    counts = []
    for lines in (200, 400):
        author = parse("FROM x\n" + line * lines, where="x")
        read.clear()
        with monkeypatch.context() as patched:
            patched.setattr(parser, "read_entries", counting)
            made = compose_modelfile(author, template, TemplateFields(base="y", adapter="./a", system="z"))
        assert made == parse(print_modelfile(made), where="x")
        counts.append(sum(read))
    assert counts[0] == counts[1]


def test_names_that_occur_twice_are_found_in_one_walk():
    """Each name is hashed at most twice: names are not counted one by one."""
    steps = []

    class Name(str):
        def __eq__(self, other):
            steps.append(1)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    counts = []
    for number in (200, 400):
        pairs = [(Name(f"n{at}"), 0) for at in range(number)] + [(Name(f"n{number - 1}"), 0)]
        steps.clear()
        with pytest.raises(ValueError, match="occurs twice"):
            untrusted._without_duplicates(pairs)
        counts.append(len(steps))
    assert counts[1] <= 2 * counts[0] + 50


def test_text_arrays_have_one_bound_together(tmp_path):
    """Arrays of empty texts are bounded by what all of them hold: a sparse file promises any number."""
    half = MOST_WALKED // 2 + 1
    path = tmp_path / "x.gguf"
    head = struct.pack("<IQ", 8, half)
    content = gguf([], [], b"", counts=(0, 2))

    def named(name):
        return struct.pack("<Q", len(name)) + name + struct.pack("<I", 9) + head

    with path.open("wb") as file:
        file.write(content[:24] + named(b"a"))
        file.seek(8 * half, 1)
        file.write(named(b"b"))
        file.seek(8 * half, 1)
        file.write(b"\0")
    with pytest.raises(InputError, match="elements"):
        read_gguf(path)


def test_unclosed_jinja_is_searched_once():
    """A million openings that never close are passed in one search each, not a search from each of them."""
    assert not any("Jinja" in each for each in template_problems("{{ .Prompt }}" + "{%" * 1_000_000))
    assert any("{% if x %} is Jinja" in each for each in template_problems("{{ .Prompt }}a {% if x %} b %}"))
