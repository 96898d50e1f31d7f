"""The error for a base file that does not exist, with the reason that is most likely for such a path."""

import re
from pathlib import Path

from ollama_pack.errors import InputError, UsageError

WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\\w|[^/]*\\[^ ]")
"""A path as Windows writes it: with a drive, a server, or backslashes between names."""

OTHER_FILE = "change FROM there, or name the base with --base BASE"


def require_named_file(path: Path) -> None:
    """Require that a base file which the user named exists.

    Raises:
        UsageError: it does not exist.
    """
    if not _exists(path):
        hint = "--base BASE, with a GGUF file that exists, an Ollama model, or a Hugging Face id"
        raise UsageError("There is no such file.", where=path, hint=hint, code="no-such-directory")


def require_from_file(text: str, path: Path) -> None:
    """Require that the base file which FROM names exists.

    Args:
        text: the value of FROM.
        path: the file that it means, relative to the Modelfile.

    Raises:
        InputError: it does not exist.
    """
    if _exists(path):
        return
    what, hint = f"FROM names a file that is not here: {text}.", OTHER_FILE
    spellings = (
        (text.replace("\\ ", " "), "without backslashes: a space in a path needs none in a Modelfile"),
        (text.strip("'"), "without single quotes: in a Modelfile they are part of the name"),
        (text.partition(" #")[0], "without the comment: in a Modelfile it needs a line of its own"),
    )
    other = next((each for each in spellings if each[0] != text), None)
    if other:
        hint = f"FROM {other[0]}  {other[1]}"
    elif WINDOWS_PATH.match(text):
        what = f"FROM names a Windows path, and no such file is here: {text}."
    raise InputError(what, where=path, hint=hint, code="no-base-file")


def _exists(path: Path) -> bool:
    """Return whether something is at a path; a path that is too long has nothing."""
    try:
        return path.exists()
    except OSError:
        return False
