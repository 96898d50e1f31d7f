"""Reads and writes ``Modelfile.txt`` on disk, and keeps what its author wrote."""

from pathlib import Path

from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.files import Note, os_errors_as_destination_error, read_small, sha256_of_file, whole_file
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.quoting import decode
from ollama_pack.modelfile.syntax import Modelfile, print_modelfile


def read_modelfile(directory: Path) -> Modelfile | None:
    """Return the author's Modelfile.txt, None where there is none.

    Raises:
        InputError: it cannot be read, or is no Modelfile.
    """
    path = directory / MODELFILE_NAME
    try:
        if not path.exists():
            return None
        return parse(decode(read_small(path), str(path)), where=str(path))
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error


def has_same_commands(path: Path, content: bytes) -> bool:
    """Return whether a file has this content; require that otherwise it is a Modelfile, or not there.

    Raises:
        DestinationError: that cannot be found out.
        RefusedError: it is something else of the user's.
    """
    try:
        found = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise DestinationError(f"This cannot be read: {error.strerror}.", where=path) from error
    if found is None or found == content:
        return found is not None
    try:
        parse(decode(found, str(path)), where=str(path))
    except InputError as error:
        raise RefusedError(
            "There is a file of this name already, and it is not a Modelfile.",
            where=path,
            hint="--out with another place, or move the file away",
        ) from error
    return False


def write_modelfile(
    modelfile: Modelfile, path: Path, note: Note, *, author: Path | None = None, known: object = ""
) -> Path:
    """Write a Modelfile, unless the file says the same already.

    Args:
        modelfile: to be written.
        path: where. Another one that is there stays beside it, as ``….old``: somebody may have edited it.
        note: told about both.
        author: the file whose words are in `modelfile` already, and are not kept twice.
        known: digest of the file that the last build wrote, which is not kept either.

    Raises:
        DestinationError: the file cannot be written.
        RefusedError: a file of another kind is in its place.
    """
    content = print_modelfile(modelfile).encode()
    if not has_same_commands(path, content):
        own = author and author.exists() and path.exists() and author.samefile(path)
        if path.exists() and not own and sha256_of_file(path) != known:
            old = path.with_name(f"{path.name}.old")
            with os_errors_as_destination_error(old):
                path.replace(old)
            note("kept", f"the {path.name} that was there, as {old}")
        with whole_file(path) as file:
            file.write(content)
    note("modelfile", modelfile)
    return path
