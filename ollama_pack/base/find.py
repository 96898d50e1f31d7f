"""READ  whatever names a base → BaseModel.

A base is named by ``--base``, else by FROM in Modelfile.txt, else by ``base_model_name_or_path``.
A text that is a file is read as GGUF, a directory with a config.json by that; every other text is
looked up in the catalog, as an Ollama model or a Hugging Face id, then among the models of Hugging Face on
this machine.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ollama_pack.base import hf_cache, hf_config
from ollama_pack.base.catalog import base_from_entry, find_entry, find_tag, read_base_by_name, similar_ids
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.ollama.names import parse_name


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseReferences:
    """What is known about which base an adapter belongs to; empty where nothing is.

    Attributes:
        option: the value of ``--base``, relative to the working directory where it is a path.
        modelfile_from: FROM of the author's Modelfile.txt.
        directory: where that Modelfile lies; its paths are relative to it.
        adapter_base: ``base_model_name_or_path`` of adapter_config.json.
    """

    option: str = ""
    modelfile_from: str = ""
    directory: Path = Path()
    adapter_base: str = ""


Source = Callable[[str], BaseModel | None]
"""Called with a name; returns the base it means there, None where it is not known."""


def no_source(_name: str) -> BaseModel | None:
    """Know no base."""
    return None


def find_base(clues: BaseReferences, installed: Source = no_source, online: Source = no_source) -> BaseModel:
    """Return the base, from the strongest clue there is.

    A name that no catalog knows is looked up among the models that are installed, those of Hugging Face
    on this machine, and online. One that is not there either borrows the numbers of the base that the adapter
    names, and says so in its notes.

    Args:
        clues: what names it.
        installed: knows the Ollama models that are there.
        online: knows what is not on this machine.

    Raises:
        InputError: nothing names a base, the name is unknown, or its GGUF file is damaged.
        UnsupportedError: the base is known, but not the numbers a conversion needs.
        DestinationError: what is online does not answer.
    """

    def named(name: str) -> BaseModel:
        return _by_name(name, clues.adapter_base, (installed, online))

    if clues.option:
        path = Path(clues.option).expanduser()
        if (path / hf_config.CONFIG_JSON).is_file():
            return _with_tag(hf_config.read_config(path).base(), clues.adapter_base)
        if is_path(clues.option, path):
            return read_base_gguf(path)
        return _by_name_or_cache(clues.option, named)
    if clues.modelfile_from:
        path = clues.directory / Path(clues.modelfile_from).expanduser()
        if is_path(clues.modelfile_from, path):
            return read_base_gguf(path)
        return named(clues.modelfile_from)
    if clues.adapter_base:
        return _by_name_or_cache(clues.adapter_base, read_base_by_name, online)
    raise InputError(
        "Nothing says which base the adapter belongs to.",
        where="adapter_config.json: base_model_name_or_path",
        hint="--base with an Ollama model (vicuna:7b), a Hugging Face id, or a GGUF file",
    )


def _by_name_or_cache(
    name: str, by_name: Callable[[str], BaseModel], online: Source = no_source
) -> BaseModel:
    """Return a base by its name, else from a copy of the model on this machine, else online.

    Raises:
        InputError: none knows it.
        UnsupportedError: none has its numbers.
        DestinationError: what is online does not answer.
    """
    try:
        return by_name(name)
    except (InputError, UnsupportedError):
        local = hf_cache.find_local(name, os.environ)
        if local is None and (far := online(name)) is not None:
            return far
        if local is None:
            raise
    found = hf_config.read_config(local).base()
    known = replace(
        found,
        origin=f"{hf_config.CONFIG_JSON} of {name} on this machine",
        source_id=name if is_hub_id(name) else "",
    )
    return _with_tag(known, name) if find_entry(name) is not None else known


def _with_tag(base: BaseModel, adapter_base: str) -> BaseModel:
    """Return a base with the Ollama model that the catalog knows for the id the adapter names."""
    entry = find_entry(adapter_base) if adapter_base else None
    return base if entry is None else replace(base, tag=entry.tag, source_id=entry.source_id)


def same_base(one: str, other: str) -> bool:
    """Return whether two ids may be the same weights: equal, unknown, or one row of the catalog."""
    if not one or not other or one == other:
        return True
    first, second = find_entry(one), find_entry(other)
    return first is not None and second is not None and first.source_id == second.source_id


def is_path(text: str, path: Path) -> bool:
    """Return whether `text`, which would be the file `path`, names a file rather than a model.

    A directory of that name proves nothing: a copy of the base from Hugging Face may lie there.
    """
    if text.lower().endswith(".gguf") or text.startswith((".", "/", "~")):
        return True
    try:
        return path.is_file()
    except OSError:  # longer than a file's name may be, or behind a closed door
        return False


def _by_name(name: str, adapter_base: str, sources: tuple[Source, ...]) -> BaseModel:
    if find_tag(name) is None and find_entry(name) is None:
        for source in sources:
            if (there := source(name)) is not None:
                return there
        entry = find_entry(adapter_base) if adapter_base else None
        if entry is not None and "/" not in name.removeprefix("library/"):
            tag = str(parse_name(name))
            near = similar_ids(tag, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            note = (
                f"{tag} is not in the catalog{meant}; its numbers are taken to be those of {entry.source_id}"
            )
            known = base_from_entry(entry)
            return replace(known, tag=tag, notes=(*known.notes, note))
    return read_base_by_name(name)
