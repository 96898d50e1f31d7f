"""Writes what a terminal's encoding lacks in ASCII: latin-1 and cp1252 know no ΔW."""

import codecs
import io
from typing import TextIO

IN_ASCII = {
    "Δ": "d", "‖": "||", "→": "->", "–": "-", "—": "-", "…": "...", "×": "x", "·": "*", "λ": "lambda",
    "≤": "<=", "≥": ">=", "“": '"', "”": '"', "’": "'", "√": "sqrt", "¹": "1",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True)),
}  # fmt: skip
"""Characters in the messages of this package. Others are escaped, so that no two names look alike."""

HANDLER = "ollama-pack-ascii"


def write_in_ascii(stream: TextIO) -> None:
    """Have a stream write in ASCII what its encoding lacks, and escape what has no ASCII."""
    codecs.register_error(HANDLER, _replace_characters)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=HANDLER)


def _replace_characters(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the text for characters that cannot be encoded, and where encoding goes on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    text = "".join(IN_ASCII.get(c, c.encode("ascii", "backslashreplace").decode("ascii")) for c in lacking)
    return text, error.end
