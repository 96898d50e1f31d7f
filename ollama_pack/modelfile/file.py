"""Reads and writes ``Modelfile.txt``, and keeps what its author wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.disk.files import (
    Note,
    os_errors_as_destination_error,
    read_small,
    sha256_of_file,
    whole_file,
)
from ollama_pack.errors import DestinationError, InputError, file_in_the_way
from ollama_pack.modelfile import LARGEST_MODELFILE, MODELFILE_NAME

if TYPE_CHECKING:
    from ollama_pack.modelfile.syntax import Modelfile


def read_modelfile(directory: Path, name: str = MODELFILE_NAME) -> "Modelfile | None":
    """Return the Modelfile of this name in a directory, or None if there is no such file.

    Raises:
        InputError: the file cannot be read, or it is not a Modelfile.
    """
    path = directory / name
    try:
        if not path.exists():
            return None
        return _modelfile_in(read_small(path, LARGEST_MODELFILE), path)
    except OSError as error:
        raise InputError(f"Cannot read the file: {error.strerror}.", where=path) from error


def _modelfile_in(content: bytes, path: Path) -> "Modelfile":
    """Return the Modelfile that the bytes of a file are."""
    from ollama_pack.modelfile.parser import parse  # most adapters have no Modelfile beside them
    from ollama_pack.modelfile.quoting import decode

    return parse(decode(content, str(path)), where=str(path))


def has_same_commands(path: Path, content: bytes) -> bool:
    """Return whether a file has this content; require that a file with other content is a Modelfile.

    Args:
        path: the file, which need not exist.
        content: the text of a Modelfile, in UTF-8.

    Raises:
        DestinationError: the file cannot be read.
        RefusedError: the file is not a Modelfile, so it must not be replaced.
    """
    try:
        present = read_small(path, LARGEST_MODELFILE) if path.is_file() else None
    except OSError as error:
        raise DestinationError(f"Cannot read the file: {error.strerror}.", where=path) from error
    if present is None or present == content:
        return present is not None
    try:
        _modelfile_in(present, path)
    except InputError as error:
        raise file_in_the_way(
            path, "it is not a Modelfile", hint="--out with another directory, or move the file away"
        ) from error
    return False


def write_modelfile(modelfile: "Modelfile", path: Path, note: Note, *, known: object = "") -> Path:
    """Write a Modelfile, unless the file has the same content already, and return its path.

    A different Modelfile that is there is kept as ``….old``, because somebody may have edited it.

    Args:
        modelfile: the Modelfile to write.
        path: the file to write.
        note: is called with the written Modelfile, and with the name of the one that was kept.
        known: the digest of the file that the last build wrote. A file with this digest is not kept.

    Raises:
        DestinationError: the file cannot be written.
        RefusedError: the file exists and is not a Modelfile.
    """
    from ollama_pack.modelfile.syntax import print_modelfile

    content = print_modelfile(modelfile).encode()
    if not has_same_commands(path, content):
        if path.exists() and sha256_of_file(path) != known:
            old = path.with_name(f"{path.name}.old")
            with os_errors_as_destination_error(old):
                path.replace(old)
            note("kept", f"the previous {path.name}, as {old}")
        with whole_file(path) as file:
            file.write(content)
    note("modelfile", modelfile)
    return path
