"""Reads the header of a GGUF model that may lie in several files.

llama.cpp's ``llama-gguf-split`` names the parts ``NAME-00001-of-00003.gguf``: the first has the metadata,
each has some of the tensors.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.reader import GgufFile, read_gguf

COUNT, TENSORS = "split.count", "split.tensors.count"
MOST_PARTS = 1000
_PART = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})\.gguf")


def read_model(path: Path, keep: Collection[str] = ()) -> GgufFile:
    """Return the header of a model; if it is split, the metadata of the first part and the tensors of all.

    Offsets are given for the tensors of the first part alone.

    Args:
        path: the file, or any of its parts.
        keep: as `read_gguf` takes it.

    Raises:
        InputError: a part is missing, damaged, named otherwise than parts are, or of another model.
    """
    return joined_header(path, read_parts(path, keep))


def joined_header(path: Path, parts: Sequence[GgufFile]) -> GgufFile:
    """Return the headers of a model's parts as one: the metadata of the first, and the tensors of all."""
    first, *others = parts
    if not others:
        return first
    shapes, types = dict(first.shapes), dict(first.types)
    for part in others:
        shapes.update(part.shapes)
        types.update(part.types)
    return replace(first, path=path, shapes=shapes, types=types)


def read_parts(path: Path, keep: Collection[str] = ()) -> tuple[GgufFile, ...]:
    """Return the header of each part of a model, which is one header if the model lies in one file.

    Args:
        path: the file, or any of its parts.
        keep: the keys whose long lists are read, as for `read_gguf`, in the first part.

    Raises:
        InputError: a part is missing, damaged, named otherwise than parts are, or of another model.
    """
    header = read_gguf(path, keep)
    count = header.integer(COUNT, 1)
    if count <= 1:
        return (header,)
    match = _PART.fullmatch(path.name)
    if match is None or int(match[3]) != count or count > MOST_PARTS:
        raise InputError(
            f"The model is split over {count} files, and this one is not named as a part of them.",
            where=path,
            hint=f"NAME-00001-of-{min(count, 99999):05}.gguf is what llama-gguf-split calls the first",
        )
    parts = tuple(
        read_gguf(path.with_name(f"{match[1]}-{number:05}-of-{match[3]}.gguf"), keep if number == 1 else ())
        for number in range(1, count + 1)
    )
    names: set[str] = set()
    for part in parts:
        if part.integer(COUNT, 1) != count or names & part.shapes.keys():
            raise InputError("This is a part of another model.", where=part.path)
        names |= part.shapes.keys()
    promised = parts[0].integer(TENSORS, len(names))
    if len(names) != promised:
        raise InputError(
            f"The parts have {len(names)} tensors, and the first part says {promised}.", where=parts[0].path
        )
    return parts


def require_one_file(path: Path, metadata: Mapping[str, object]) -> None:
    """Require a model that lies in one file, as Ollama takes it.

    Args:
        path: the file.
        metadata: what its header says.

    Raises:
        UnsupportedError: the model is split over several files.
    """
    count = metadata.get(COUNT, 1)
    if isinstance(count, int) and count > 1:
        raise UnsupportedError(
            "The model is split over several GGUF files, and Ollama takes one.",
            where=path,
            hint="join the parts with llama.cpp's llama-gguf-split --merge",
        )
