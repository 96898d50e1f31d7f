"""The lexical rules of a Modelfile: encodings, lines, quotes, and the characters that Ollama drops."""

import codecs
import re
import unicodedata

from ollama_pack.errors import InputError, UnsupportedError, bullet_list

BLANKS = " \t\r\n"
TRIPLE, SINGLE = '"""', '"'
LINE_PATTERN = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(data: bytes, where: str) -> str:
    """Return the text of a Modelfile, without its byte order mark.

    The encoding is UTF-8, or UTF-16 if the byte order mark says so.

    Raises:
        InputError: the bytes are not text in that encoding.
    """
    mark, encoding = next((known for known in _BOMS if data.startswith(known[0])), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"This is not {encoding.upper()} text: {error.reason}.",
            where=f"{where}, byte {len(mark) + error.start}",
            hint="save the file as UTF-8",
        ) from error


def kept(text: str) -> str:
    """Return `text` as Ollama's reader sees it: without the characters that Go calls unprintable.

    Letters, marks, numbers, punctuation, symbols and the ASCII space are printable (Go's
    ``unicode.IsPrint``). Tabs and line ends are kept, too: Ollama handles them before this filter.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character for character in text if _survives(character))


def unquote(text: str) -> str | None:
    """Return `text` without the quotes around it, or None if it starts with quotes that do not close."""
    if text.startswith(TRIPLE):
        return text[3:-3] if len(text) >= 6 and text.endswith(TRIPLE) else None
    if text.startswith(SINGLE):
        return text[1:-1] if len(text) >= 2 and text.endswith(SINGLE) else None
    return text


def read_value(lines: list[str], at: int, start: int) -> tuple[str, str, int] | None:
    """Read the value that starts at ``lines[at][start:]``.

    A quoted value ends with the first line that, without trailing blanks, ends with the same quotes.

    Returns:
        The raw text without the end of its last line, the value, and the number of lines; or None if the
        quotes never close.
    """
    body = lines[at][start:].rstrip("\r\n")
    value = unquote(kept(body).strip(BLANKS))
    if value is not None:
        return body, value, 1
    quote = TRIPLE if kept(body).lstrip(BLANKS).startswith(TRIPLE) else SINGLE
    for later in range(at + 1, len(lines)):
        if kept(lines[later]).rstrip(BLANKS).endswith(quote):
            used = [*lines[at : later + 1]]
            used[-1] = used[-1].rstrip("\r\n")
            body = "".join(used)[start:]
            return body, kept(body).strip(BLANKS)[len(quote) : -len(quote)], len(used)
    return None


def quoted(value: str, where: str = "") -> str:
    """Return `value` as a Modelfile spells it: without quotes if possible, otherwise with them.

    Args:
        value: the text, which may have several lines.
        where: what the value is, for messages.

    Raises:
        UnsupportedError: no spelling is read back as this value: it is empty (which Ollama reads as
            "inherit"), it holds characters that Ollama drops, or one of its lines ends with three quotes.
    """
    if not value:
        raise UnsupportedError(
            "A Modelfile cannot set an empty text: Ollama reads it as “as in the base model”.",
            where=where,
            code="modelfile-cannot-hold",
        )
    multiline = "\n" in value or "\r" in value
    # Every spelling is read back, so the rules of quoting are written only once, in `read_value`.
    for quote in ("", TRIPLE, SINGLE) if multiline else ("", SINGLE, TRIPLE):
        spelling = f"{quote}{value}{quote}"
        lines = LINE_PATTERN.findall(spelling)
        if read_value(lines, 0, 0) == (spelling, value, len(lines)):
            return spelling
    raise UnsupportedError(
        bullet_list("A Modelfile cannot carry this text:", _obstacles(value)),
        where=where,
        hint="remove these characters from the text; Ollama has no way to escape them",
        code="modelfile-cannot-hold",
    )


def name_of(character: str) -> str:
    """Return the code point and the name of a character, ``U+200B ZERO WIDTH SPACE``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'control character')}"


def dropped(text: str) -> list[str]:
    """Return the characters of `text` that Ollama's reader drops, each once, in order."""
    return [character for character in dict.fromkeys(text) if not _survives(character)]


def _survives(character: str) -> bool:
    """Return whether Ollama's reader keeps a character."""
    return character in BLANKS or unicodedata.category(character)[0] in "LMNPS"


def _obstacles(value: str) -> list[str]:
    """Return why no spelling is read back as `value`, one clause for each obstacle."""
    problems = []
    for number, line in enumerate(LINE_PATTERN.findall(value), start=1):
        problems += [f"line {number}: Ollama drops {name_of(character)}" for character in dropped(line)]
        if line.rstrip(BLANKS).endswith(TRIPLE):
            problems.append(f'line {number}: it ends with """, which would end the text at this line')
    return problems
