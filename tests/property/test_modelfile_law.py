"""Laws of the Modelfile: nothing is lost, nothing is invented, and twice is once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.modelfile.editing import with_command, without_command
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.quoting import decode, quoted
from ollama_pack.modelfile.syntax import Modelfile, print_modelfile

pytestmark = pytest.mark.property

WHERE = "Modelfile.txt"
TEXT_COMMANDS = ("FROM", "ADAPTER", "TEMPLATE", "SYSTEM", "LICENSE", "RENDERER", "PARSER", "DRAFT")

pieces = st.sampled_from(
    [
        "FROM",
        "system",
        "PARAMETER stop ",
        "MESSAGE user ",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "#",
        '"',
        '"""',
        "a",
        "\u200b",
    ]
)
texts = st.one_of(st.lists(pieces, max_size=30).map("".join), st.text(max_size=60))
values = st.lists(
    st.one_of(
        st.sampled_from(['"', '""', '"""', "\n", "\r\n", "\r", " ", "\t", "#", "é"]),
        st.text("ab:{}.", min_size=1),
    ),
    min_size=1,
    max_size=12,
).map("".join)
settings = st.one_of(
    st.tuples(st.sampled_from(TEXT_COMMANDS), st.just(""), values).filter(
        lambda setting: setting[0] != "TEMPLATE" or "{{" not in setting[2]
    ),
    st.tuples(st.just("PARAMETER"), st.just("stop"), values),
    st.tuples(st.just("PARAMETER"), st.sampled_from(["seed", "top_k"]), st.integers(-9, 9).map(str)),
    st.tuples(st.just("MESSAGE"), st.sampled_from(["user", "assistant", "system"]), values),
)


@st.composite
def modelfiles(draw: st.DrawFn) -> Modelfile:
    """Return a Modelfile as some author may have written it."""
    written = []
    for name, key, value in draw(st.lists(settings, max_size=6)):
        written.append(draw(st.sampled_from(["", "# hi\n", "\n", " \t\r\n", "#\r"])))
        head = draw(st.sampled_from([name, name.lower(), f"  {name.title()}"]))
        try:
            spelling = quoted(value)
        except UnsupportedError:
            continue
        end = draw(st.sampled_from(["\n", "\r\n", "\r", "  \n", "\n\n"]))
        written.append(f"{head} {key} {spelling}{end}" if key else f"{head} {spelling}{end}")
    text = "".join(written)
    return parse(text.rstrip() if draw(st.booleans()) else text, where=WHERE)


@given(modelfiles())
def test_parse_after_print(modelfile):
    """Reading what was printed gives the same value."""
    assert parse(print_modelfile(modelfile), where=WHERE) == modelfile


@given(texts)
def test_print_after_parse(text):
    """Any text either parses, and prints as itself, or raises InputError with a line."""
    try:
        assert print_modelfile(parse(text, where=WHERE)) == text
    except InputError as error:
        assert WHERE in error.where


@given(modelfiles(), settings)
def test_set_is_read_back(modelfile, setting):
    """A command that was set is read back, and no other command changes its value."""
    name, key, value = setting
    try:
        changed = with_command(modelfile, name, value, key=key)
    except UnsupportedError:
        return
    assert value in changed.values(name, key)
    others = [
        (found.name, found.key) for found in modelfile.commands if (found.name, found.key) != (name, key)
    ]
    for other in others:
        assert changed.values(*other) == modelfile.values(*other)


@given(modelfiles(), settings)
def test_set_twice_is_set_once(modelfile, setting):
    """Setting the same again gives the very same text."""
    name, key, value = setting
    try:
        once = with_command(modelfile, name, value, key=key)
    except UnsupportedError:
        return
    assert with_command(once, name, value, key=key) is once


@given(modelfiles(), settings)
def test_set_leaves_comments(modelfile, setting):
    """Comments are the same, in the same order, whatever is set."""
    name, key, value = setting
    try:
        changed = with_command(modelfile, name, value, key=key)
    except UnsupportedError:
        return
    comments = [entry.head for entry in modelfile.entries if not entry.command and entry.head.strip()]
    assert [entry.head for entry in changed.entries if not entry.command and entry.head.strip()] == comments


@given(modelfiles(), st.sampled_from(TEXT_COMMANDS))
def test_without_is_gone(modelfile, name):
    """Nothing of a removed command is left, and everything else is."""
    left = without_command(modelfile, name)
    assert left.values(name) == ()
    assert print_modelfile(left) == "".join(
        entry.text for entry in modelfile.entries if not entry.command or entry.command.name != name
    )


@given(st.text())
def test_quoted_or_refused(value):
    """Every text is spelt so that it reads back as itself, or refused."""
    try:
        spelling = quoted(value)
    except UnsupportedError:
        return
    assert parse(f"# a\nSYSTEM {spelling}\nFROM x", where=WHERE).values("SYSTEM") == (value,)


@given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_decode_any_encoding(text, encoding):
    """A text in any encoding Ollama reads is decoded as itself."""
    if encoding == "utf-8" and text.startswith("\ufeff"):
        text = text.lstrip("\ufeff")
    assert decode(text.encode(encoding), WHERE) == text


@given(st.binary())
def test_decode_any_bytes(data):
    """Any bytes are decoded or refused with their place; never a traceback."""
    try:
        decode(data, WHERE)
    except InputError as error:
        assert error.where.startswith(f"{WHERE}, byte ")
