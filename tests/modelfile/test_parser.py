"""Modelfile text to values: what Ollama's reader accepts, and what each line comes to."""

import pytest

from ollama_pack.errors import InputError
from ollama_pack.modelfile.parser import command_problems, parameters, parse
from ollama_pack.modelfile.syntax import Command, print_modelfile

WHERE = "Modelfile.txt"


def commands(text: str) -> list[tuple[str, str, str]]:
    """Return name, key and value of every command."""
    return [(found.name, found.key, found.value) for found in parse(text, where=WHERE).commands]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("SYSTEM Be brief.", "Be brief.", id="a bare value ends with the file"),
        pytest.param("SYSTEM Be brief.\nFROM x", "Be brief.", id="a bare value ends with its line"),
        pytest.param("SYSTEM  \t Be  brief. \t\n", "Be  brief.", id="a bare value is trimmed outside only"),
        pytest.param("sYsTeM a", "a", id="commands are written in any case"),
        pytest.param("  \tSYSTEM a", "a", id="a command may be indented"),
        pytest.param("SYSTEM\ta", "a", id="a tab follows a command as well as a space"),
        pytest.param("SYSTEM a # b", "a # b", id="a hash behind a value is text"),
        pytest.param('SYSTEM "  a "', "  a ", id="quotes keep outer spaces"),
        pytest.param('SYSTEM "a\nb"', "a\nb", id="quotes span lines"),
        pytest.param('SYSTEM """a\nb"""', "a\nb", id="three quotes span lines"),
        pytest.param('SYSTEM """a "b" c"""', 'a "b" c', id="quotes inside three quotes are text"),
        pytest.param('SYSTEM """a """ b"""', 'a """ b', id="three quotes inside a line do not close"),
        pytest.param('SYSTEM """a"""  \nFROM x', "a", id="blanks may follow the closing quotes"),
        pytest.param('SYSTEM """a"\n"b"""', 'a"\n"b', id="one quote does not close three"),
        pytest.param('SYSTEM "a" b\nc"', 'a" b\nc', id="a quote inside a line swallows what follows"),
        pytest.param('SYSTEM """a\r\nb"""\r\n', "a\r\nb", id="carriage returns inside quotes stay"),
        pytest.param("SYSTEM a\rFROM x", "a", id="a carriage return alone ends a line"),
        pytest.param("SYSTEM a\\nb", "a\\nb", id="nothing is escaped"),
        pytest.param("SYSTEM a\u200bb\u00a0c", "abc", id="unprintable characters are dropped"),
        pytest.param("SYSTEM \u2764\ufe0f a\tb", "\u2764\ufe0f a\tb", id="variation selectors and tabs stay"),
        pytest.param('SYSTEM \u200b"a"', "a", id="they are dropped before quotes are read"),
        pytest.param('SYSTEM \u200b"""a"\nb"""', 'a"\nb', id="before three quotes as well"),
        pytest.param("SYSTEM ", "", id="a blank alone is an empty value"),
        pytest.param('SYSTEM ""', "", id="two quotes are an empty value"),
        pytest.param('SYSTEM """"""', "", id="six quotes are an empty value"),
        pytest.param("# SYSTEM b\n \t# c\nSYSTEM a", "a", id="a comment is a line of its own"),
        pytest.param("SYSTEM a\nSYSTEM b", "b", id="the last one counts"),
        pytest.param("\u200bSYSTEM a", "a", id="a dropped character before a command is nothing"),
    ],
)
def test_value(text, value):
    """A value is what Ollama's reader makes of the same text."""
    assert parse(text, where=WHERE).value("SYSTEM") == value


def test_commands_in_order():
    """Every command is found, with its key, its value and its line as an editor counts it."""
    text = '# hi\r\nFROM x\r\nPARAMETER stop "a b"\r\n\r\nMESSAGE user """\nHi: you"""\nLICENSE MIT\n'
    assert parse(text, where=WHERE).commands == (
        Command("FROM", "", "x", 2),
        Command("PARAMETER", "stop", "a b", 3),
        Command("MESSAGE", "user", "\nHi: you", 5),
        Command("LICENSE", "", "MIT", 7),
    )


@pytest.mark.parametrize(
    "name", ["FROM", "ADAPTER", "DRAFT", "RENDERER", "PARSER", "TEMPLATE", "SYSTEM", "LICENSE"]
)
def test_every_text_command(name):
    """Each command that takes a text is known."""
    assert commands(f"{name} x y") == [(name, "", "x y")]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param("FRON x", 1, "did you mean FROM", id="a command misspelt"),
        pytest.param(
            "FROM x\nhello there", 2, "'hello' is not a command", id="a text of several lines, unquoted"
        ),
        pytest.param("FROM: x", 1, "did you mean FROM", id="a colon behind a command"),
        pytest.param("SYSTEM\nhi", 1, "SYSTEM has no value", id="a command alone on its line"),
        pytest.param("FROM", 1, "FROM has no value", id="a command at the end of the file"),
        pytest.param("\x0c", 1, "is not a command", id="a form feed"),
        pytest.param("ſystem a", 1, "is not a command", id="a letter whose capital is S"),
        pytest.param("MESSAGE", 1, "MESSAGE has no value", id="a message without a role"),
        pytest.param("MESSAGE user", 1, "is not a role", id="a role without a message"),
        pytest.param("MESSAGE User hi", 1, "did you mean MESSAGE user", id="a role in capitals"),
        pytest.param("MESSAGE  user hi", 1, "one space", id="two spaces before the role"),
        pytest.param("PARAMETER  top_k 1", 1, "exactly one space", id="two spaces before the parameter"),
        pytest.param("PARAMETER top-k 1", 1, "PARAMETER must", id="a dash in a parameter"),
        pytest.param("PARAMETER stop", 1, "PARAMETER must", id="a parameter without a value"),
        pytest.param('\nSYSTEM """a\nb', 2, "are not closed", id="three quotes left open"),
        pytest.param('SYSTEM "', 1, "are not closed", id="one quote left open"),
        pytest.param('SYSTEM """"', 1, "are not closed", id="four quotes are open quotes"),
        pytest.param("PARAMETER Temperature 1", 1, "did you mean temperature", id="a parameter in capitals"),
        pytest.param("PARAMETER num_ctx 4096.0", 1, "whole number", id="a parameter of the wrong type"),
        pytest.param("REQUIRES soon", 1, "version like 0.14.0", id="a version that is none"),
    ],
)
def test_refused(text, line, said):
    """What Ollama would refuse is refused with the file, the line, and words that help."""
    with pytest.raises(InputError) as caught:
        parse(text, where=WHERE)
    assert caught.value.where == f"Modelfile.txt, line {line}"
    assert said in str(caught.value)


def test_wrong_values_are_gathered():
    """All lines with wrong values are named at once, in the order of the file."""
    text = "FROM x\nPARAMETER top_k a\n" + "\n" * 10 + "PARAMETER Seed 1\n"
    with pytest.raises(InputError) as caught:
        parse(text, where=WHERE)
    assert caught.value.what.splitlines() == [
        "Several lines are not valid in a Modelfile:",
        "  - line 2: top_k must be a whole number, not 'a'",
        "  - line 13: unknown parameter 'Seed' (did you mean seed? Names are in lower case)",
    ]


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        *((version, True) for version in ("0.14.0", "v0.14", "1", "1.2.3-rc.1+b01", "1.2.3--", "1.2.3-0a")),
        *(
            (version, False)
            for version in ("", "v", "01", "1.2.", "1.2-rc", "1.2.3-01", "1.2.3.4", "vv1", "1.2.3+")
        ),
    ],
)
def test_requires(version, accepted):
    """REQUIRES takes what Go's semver takes, with or without a v."""
    text = f"REQUIRES {version}"
    if accepted:
        assert parse(text, where=WHERE).value("REQUIRES") == version
    else:
        with pytest.raises(InputError, match="version like"):
            parse(text, where=WHERE)


def test_nothing_is_a_modelfile():
    """An empty text parses, and has no value for anything."""
    modelfile = parse("", where=WHERE)
    assert (modelfile.entries, modelfile.value("FROM"), parameters(modelfile)) == ((), "", {})


def test_accumulating_commands():
    """MESSAGE, LICENSE and stop are lists, in the order of the file."""
    modelfile = parse(
        "LICENSE a\nMESSAGE user hi: x\nPARAMETER stop x\nLICENSE b\nMESSAGE assistant ho\nPARAMETER stop y",
        where=WHERE,
    )
    assert modelfile.values("LICENSE") == ("a", "b")
    assert modelfile.messages == (("user", "hi: x"), ("assistant", "ho"))
    assert parameters(modelfile) == {"stop": ["x", "y"]}


AUTHORS = (
    '# Ada\'s own\r\n\r\nfrom  vicuna:7b  \r\n\tSystem """\r\nBe "brief".\r\n""" \r\n#end',
    'FROM x\n\n\n   \nPARAMETER\tstop "a"\nPARAMETER stop b',
    "\r\r\nFROM a\u200bb\r",
)


@pytest.mark.parametrize("text", AUTHORS)
def test_nothing_is_lost(text):
    """Printing gives back every character: blanks, comments, case, quotes and line ends."""
    assert print_modelfile(parse(text, where=WHERE)) == text


@pytest.mark.parametrize("text", AUTHORS)
def test_any_truncation(text):
    """A Modelfile cut anywhere is still one, or an InputError; never a traceback, never other text."""
    for length in range(len(text)):
        try:
            modelfile = parse(text[:length], where=WHERE)
        except InputError as error:
            assert error.where.startswith("Modelfile.txt, line ")
        else:
            assert print_modelfile(modelfile) == text[:length]


def test_a_long_open_text_is_read_once():
    """A long text inside quotes takes time in proportion: 200 000 lines are no problem."""
    lines = "x\n" * 200_000
    assert len(parse(f'SYSTEM """{lines}"""', where=WHERE).value("SYSTEM")) == 400_000


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        pytest.param("PARAMETER mirostat 2", "line 1: Ollama ignores the parameter mirostat.", id="ignored"),
        pytest.param(
            "ADAPTER a\nADAPTER b", "line 1: only the last ADAPTER counts, which is in line 2.", id="repeated"
        ),
        pytest.param(
            'SYSTEM ""',
            "line 1: an empty SYSTEM removes that of the base, which ollama create itself cannot do.",
            id="empty",
        ),
        pytest.param(
            "SYSTEM a\u200b", "line 1: Ollama drops U+200B ZERO WIDTH SPACE from SYSTEM.", id="dropped"
        ),
    ],
)
def test_warnings(text, warned):
    """What Ollama allows but does not do as written is warned about, with its line."""
    assert told(text) == [warned]


def test_no_warnings():
    """A plain Modelfile, with several stops and licenses, has no warnings."""
    text = "FROM x\nPARAMETER stop a\nPARAMETER stop b\nLICENSE a\nLICENSE b\n# \u200b\nSYSTEM é"
    assert told(text) == []


def told(text):
    """Return the problems of the commands of a Modelfile, with their lines."""
    return [f"line {command.line}: {what}." for command, what in command_problems(parse(text, where=WHERE))]


@pytest.mark.parametrize(
    "command",
    [
        "SYSTEM Be brief.\\nBe kind.",
        "SYSTEM one\\n\\ntwo",
        "MESSAGE user Hello\\n",
        'PARAMETER stop "\\n"',
        "PARAMETER stop \\n###",
    ],
)
def test_escapes(command):
    """A line end that is written as in a program is told, wherever a text is sent or compared."""
    (line,) = told(f"FROM x\n{command}\n")
    assert line.startswith("line 2: \\n is a backslash and a letter in ")
    assert '"""' in line


@pytest.mark.parametrize("text", [r"SYSTEM Read C:\new\table.", r"SYSTEM \nabla f", 'SYSTEM """a\nb"""'])
def test_no_escapes(text):
    """A path, a formula and a line end are none."""
    assert told(text) == []
