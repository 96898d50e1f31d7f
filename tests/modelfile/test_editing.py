"""Setting one command leaves every other line as its author wrote it."""

import pytest

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.modelfile.editing import with_command, without_command, without_comment
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.syntax import print_modelfile


def edited(text: str, name: str, value: str, key: str = "") -> str:
    """Return the text with the command set."""
    return print_modelfile(with_command(parse(text, where="Modelfile.txt"), name, value, key=key))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "ADAPTER new\n", id="an empty file"),
        pytest.param("FROM x\n", "FROM x\nADAPTER new\n", id="behind FROM"),
        pytest.param("FROM x", "FROM x\nADAPTER new", id="a file without a last line end stays one"),
        pytest.param(
            "FROM x\r\nSYSTEM a\r\n", "FROM x\r\nADAPTER new\r\nSYSTEM a\r\n", id="with the file's line ends"
        ),
        pytest.param(
            "SYSTEM a\nFROM x\n# c\n", "SYSTEM a\nFROM x\nADAPTER new\n# c\n", id="FROM in second place"
        ),
        pytest.param("SYSTEM a\n", "ADAPTER new\nSYSTEM a\n", id="no FROM"),
        pytest.param(
            "# c\nSYSTEM a\n", "ADAPTER new\n# c\nSYSTEM a\n", id="a comment stays with its command"
        ),
        pytest.param("# c\n\nSYSTEM a\n", "# c\n\nADAPTER new\nSYSTEM a\n", id="a heading stays in front"),
        pytest.param("# only\n", "# only\nADAPTER new\n", id="comments alone"),
        pytest.param("FROM x\nADAPTER old\n", "FROM x\nADAPTER new\n", id="one is replaced"),
        pytest.param(" adapter\t old  \r\nFROM x", " adapter\t new\r\nFROM x", id="indent and case stay"),
        pytest.param('ADAPTER """a\nb"""\nFROM x', "ADAPTER new\nFROM x", id="a value of several lines"),
        pytest.param(
            "ADAPTER a\nFROM x\nADAPTER b\n# c", "FROM x\nADAPTER new\n# c", id="the last one stays"
        ),
        pytest.param("ADAPTER a\nFROM x\nADAPTER new", "FROM x\nADAPTER new", id="repeated ones go"),
    ],
)
def test_set_adapter(before, after):
    """ADAPTER is set where it counts, nothing else moves, and setting it again changes nothing."""
    assert edited(before, "ADAPTER", "new") == after
    assert edited(after, "ADAPTER", "new") == after


@pytest.mark.parametrize(
    ("name", "key", "value", "after"),
    [
        ("FROM", "", "y", "FROM y\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\n"),
        ("SYSTEM", "", "t\nu", 'FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM """t\nu"""\n'),
        (
            "TEMPLATE",
            "",
            "{{ .Prompt }}",
            "FROM x\nTEMPLATE {{ .Prompt }}\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\n",
        ),
        ("PARAMETER", "top_k", "2", "FROM x\nPARAMETER top_k 2\nPARAMETER stop a\nSYSTEM s\n"),
        (
            "PARAMETER",
            "seed",
            "2",
            "FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\nPARAMETER seed 2\n",
        ),
        (
            "PARAMETER",
            "stop",
            "b",
            "FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\nPARAMETER stop b\n",
        ),
        ("LICENSE", "", "MIT", "FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\nLICENSE MIT\n"),
        (
            "MESSAGE",
            "user",
            " hi",
            'FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\nMESSAGE user " hi"\n',
        ),
        ("REQUIRES", "", "0.6", "FROM x\nREQUIRES 0.6\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\n"),
    ],
)
def test_set_others(name, key, value, after):
    """Each command is replaced or added in its place; lists get a new entry once."""
    before = "FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nSYSTEM s\n"
    assert edited(before, name, value, key) == after
    assert edited(after, name, value, key) == after


@pytest.mark.parametrize("text", ['FROM x\nadapter  "./a"  ', 'FROM x\r\n ADAPTER """./a"""'])
def test_the_same_value_keeps_its_spelling(text):
    """Setting the value that is there already gives back the very same Modelfile."""
    modelfile = parse(text, where="x")
    assert with_command(modelfile, "ADAPTER", "./a") is modelfile


def test_lines_are_counted_again():
    """Behind an insertion, commands know their new lines."""
    modelfile = with_command(parse("FROM x\nSYSTEM a", where="x"), "ADAPTER", "new")
    assert [(found.name, found.line) for found in modelfile.commands] == [
        ("FROM", 1),
        ("ADAPTER", 2),
        ("SYSTEM", 3),
    ]


@pytest.mark.parametrize(
    ("name", "key", "value", "error"),
    [
        pytest.param("LICENSE", "", "", UnsupportedError, id="an empty LICENSE"),
        pytest.param("SYSTEM", "", "a\u200b", UnsupportedError, id="a character Ollama drops"),
        pytest.param("TEMPLATE", "", '"""\n', UnsupportedError, id="a text that would close early"),
        pytest.param("PARAMETER", "Seed", "1", InputError, id="an unknown parameter"),
        pytest.param("PARAMETER", "seed", "a", InputError, id="a value of the wrong type"),
        pytest.param("MESSAGE", "bot", "a", InputError, id="an unknown role"),
        pytest.param("REQUIRES", "", "soon", InputError, id="a version that is none"),
        pytest.param("FORM", "", "x", InputError, id="an unknown command"),
    ],
)
def test_refused(name, key, value, error):
    """What a Modelfile cannot carry, or Ollama would not read, is not set."""
    with pytest.raises(error):
        with_command(parse("FROM x", where="x"), name, value, key=key)


def test_without():
    """Removing a command removes all of its kind and leaves the rest; without any, nothing changes."""
    modelfile = parse("ADAPTER a\n# c\nFROM x\nadapter b\nSYSTEM s", where="x")
    removed = without_command(modelfile, "ADAPTER")
    assert print_modelfile(removed) == "# c\nFROM x\nSYSTEM s"
    assert without_command(removed, "ADAPTER") is removed


def test_without_one_parameter():
    """A parameter is removed by its name."""
    modelfile = parse("PARAMETER seed 1\nPARAMETER top_k 2\n", where="x")
    assert print_modelfile(without_command(modelfile, "PARAMETER", key="seed")) == "PARAMETER top_k 2\n"


def test_remove_one_value():
    """With a value given, only the command with that value goes."""
    left = without_command(
        parse("PARAMETER stop a\nPARAMETER stop b", where="x"), "PARAMETER", key="stop", value="b"
    )
    assert print_modelfile(left) == "PARAMETER stop a\n"


def test_remove_a_comment():
    """A comment goes only where the line is exactly it; the same text inside a value stays."""
    text = '# a\r\nSYSTEM """\n# a\n"""\n # a\n# a b\n'
    assert print_modelfile(without_comment(parse(text, where="x"), "# a")) == text.removeprefix("# a\r\n")
