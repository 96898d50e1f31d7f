"""Bytes to text, and values to the spelling that gives them back."""

import pytest

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.quoting import decode, quoted

TEXT = "FROM é\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(TEXT.encode(), id="UTF-8"),
        pytest.param(TEXT.encode("utf-8-sig"), id="UTF-8 with a mark"),
        pytest.param(b"\xff\xfe" + TEXT.encode("utf-16-le"), id="UTF-16, little end first"),
        pytest.param(b"\xfe\xff" + TEXT.encode("utf-16-be"), id="UTF-16, big end first"),
    ],
)
def test_decode(data):
    """A Modelfile is UTF-8, or what its byte order mark says; the mark is no text."""
    assert decode(data, "Modelfile.txt") == TEXT


@pytest.mark.parametrize(
    ("data", "at"),
    [
        pytest.param("FROM é".encode("latin-1"), 5, id="Latin-1"),
        pytest.param("FROM é".encode()[:-1], 5, id="UTF-8, cut inside a letter"),
        pytest.param(b"\xff\xfea\x00b", 4, id="UTF-16, an odd number of bytes"),
        pytest.param(b"\xff\xfe\x00\xd8", 2, id="UTF-16, half a pair"),
    ],
)
def test_decode_refuses(data, at):
    """Bytes that are no text are refused with their place in the file."""
    with pytest.raises(InputError) as caught:
        decode(data, "Modelfile.txt")
    assert caught.value.where == f"Modelfile.txt, byte {at}"


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        pytest.param("Be brief.", "Be brief.", id="bare where that is enough"),
        pytest.param('say "hi"', 'say "hi"', id="quotes inside need none outside"),
        pytest.param("# a", "# a", id="a hash is text behind a command"),
        pytest.param(" a", '" a"', id="an outer space wants quotes"),
        pytest.param("a\t", '"a\t"', id="an outer tab wants quotes"),
        pytest.param('"a"', '""a""', id="quotes outside want quotes"),
        pytest.param('""a', '"""""a"""', id="two quotes in front want three"),
        pytest.param("a\nb", '"""a\nb"""', id="several lines want three quotes"),
        pytest.param('a\n"b"', '"""a\n"b""""', id="a quote at the very end is safe inside three"),
        pytest.param('a ""\nb', '"""a ""\nb"""', id="a line may end with two quotes"),
        pytest.param('a """ b\nc', '"""a """ b\nc"""', id="three quotes inside a line are safe"),
        pytest.param("\n", '"""\n"""', id="a line end alone"),
        pytest.param("a\r\nb", '"""a\r\nb"""', id="carriage returns stay"),
    ],
)
def test_quoted(value, spelling):
    """A value is spelt as plainly as it can be, and reads back as itself."""
    assert quoted(value) == spelling
    assert parse(f"SYSTEM {spelling}\n# end", where="x").value("SYSTEM") == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param("", "cannot set an empty text", id="nothing"),
        pytest.param("a\n\u200bb", "line 2: Ollama drops U+200B ZERO WIDTH SPACE", id="a zero width space"),
        pytest.param("a\u00a0b", "line 1: Ollama drops U+00A0 NO-BREAK SPACE", id="a no-break space"),
        pytest.param("\U0001f468\u200d\U0001f469", "U+200D ZERO WIDTH JOINER", id="a joined emoji"),
        pytest.param("a\x00b", "U+0000 control character", id="a control character"),
        pytest.param("a\ud800", "U+D800", id="half a surrogate pair"),
        pytest.param('a"""\nb', 'line 1: it ends with """', id="three quotes at an inner line's end"),
        pytest.param('a""" \t\nb', 'line 1: it ends with """', id="three quotes and blanks at a line's end"),
    ],
)
def test_quoted_refuses(value, said):
    """A value that no spelling gives back is refused, with the line and the character."""
    with pytest.raises(UnsupportedError) as caught:
        quoted(value, where="SYSTEM")
    assert said in caught.value.what
    assert caught.value.where == "SYSTEM"
