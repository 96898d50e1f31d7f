"""Finds the base of an adapter.

A base is named by ``--base``, else by FROM in Modelfile.txt, else by ``base_model_name_or_path``. If that
names a file, the file is read as GGUF; if it names a directory with a config.json, that is read. Any other
name is looked up in the catalog, as an Ollama model or a Hugging Face id, then among the Hugging Face models
on this machine.
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
from ollama_pack.errors import InputError, UnsupportedError, UsageError
from ollama_pack.ollama.names import parse_name


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseReferences:
    """The names of an adapter's base; each is empty if it is not given.

    Attributes:
        option: the value of ``--base``; a path is relative to the working directory.
        modelfile_from: the FROM of the author's Modelfile.txt.
        directory: the directory of that Modelfile, which its paths are relative to.
        adapter_base: the ``base_model_name_or_path`` of adapter_config.json.
    """

    option: str = ""
    modelfile_from: str = ""
    directory: Path = Path()
    adapter_base: str = ""


Source = Callable[[str], BaseModel | None]
"""A function that returns the base of a name, or None if it does not know the name."""


def no_source(_name: str) -> BaseModel | None:
    """Return None: a source that knows no base."""
    return None


def find_base(
    references: BaseReferences, installed: Source = no_source, online: Source = no_source
) -> BaseModel:
    """Return the base by the first reference that is given.

    A name that is not in the catalog is looked up among the installed Ollama models, among the Hugging Face
    models on this machine, and online. An Ollama model that none of them knows gets the numbers of the base
    that the adapter names, and a note says so.

    Args:
        references: the names of the base.
        installed: the source that knows the installed Ollama models.
        online: the source that knows models which are not on this machine.

    Raises:
        InputError: nothing names a base, the name is unknown, or its GGUF file is damaged.
        UnsupportedError: the base is known, but not the numbers that a conversion needs.
        DestinationError: the online source does not answer.
    """

    def named(name: str) -> BaseModel:
        return _by_name(name, references.adapter_base, (installed, online))

    if references.option:
        path = Path(references.option).expanduser()
        if (path / hf_config.CONFIG_JSON).is_file():
            return _with_tag(hf_config.read_config(path).base(), references.adapter_base)
        if is_path(references.option, path):
            return read_base_gguf(path)
        return _by_name_or_cache(references.option, named)
    if references.modelfile_from:
        path = references.directory / Path(references.modelfile_from).expanduser()
        if is_path(references.modelfile_from, path):
            return read_base_gguf(path)
        return named(references.modelfile_from)
    if references.adapter_base:
        return _by_name_or_cache(references.adapter_base, read_base_by_name, online)
    raise UsageError(
        "Nothing says which base the adapter belongs to.",
        where="adapter_config.json: base_model_name_or_path",
        hint="--base BASE, with an Ollama model (vicuna:7b), a Hugging Face id, or a GGUF file",
        code="base-not-named",
    )


def _by_name_or_cache(
    name: str, by_name: Callable[[str], BaseModel], online: Source = no_source
) -> BaseModel:
    """Return a base by its name, else from a copy of the model on this machine, else from the online source.

    Raises:
        InputError: no source knows the name.
        UnsupportedError: no source has the numbers of the base.
        DestinationError: the online source does not answer.
    """
    try:
        return by_name(name)
    except (InputError, UnsupportedError):
        local = hf_cache.find_local(name, os.environ)
        if local is None and (remote := online(name)) is not None:
            return remote
        if local is None:
            raise
    base = replace(
        hf_config.read_config(local).base(),
        origin=f"{hf_config.CONFIG_JSON} of {name} on this machine",
        source_id=name if is_hub_id(name) else "",
    )
    return _with_tag(base, name) if find_entry(name) is not None else base


def _with_tag(base: BaseModel, adapter_base: str) -> BaseModel:
    """Return a base with the Ollama model that the catalog has for the id that the adapter names."""
    entry = find_entry(adapter_base) if adapter_base else None
    return base if entry is None else replace(base, tag=entry.tag, source_id=entry.source_id)


def same_base(one: str, other: str) -> bool:
    """Return whether two ids may mean the same weights: they are equal, share a row, or one is empty."""
    if not one or not other or one == other:
        return True
    first, second = find_entry(one), find_entry(other)
    return first is not None and second is not None and first.source_id == second.source_id


def is_path(text: str, path: Path) -> bool:
    """Return whether `text`, which as a path would be `path`, names a file and not a model.

    A directory of that name does not count, because it may be a local copy of a Hugging Face model.
    """
    if text.lower().endswith(".gguf") or text.startswith((".", "/", "~")):
        return True
    try:
        return path.is_file()
    except OSError:  # the name is too long, or the directory is not accessible
        return False


def _by_name(name: str, adapter_base: str, sources: tuple[Source, ...]) -> BaseModel:
    """Return a base from the catalog, else from the sources, else with the numbers of `adapter_base`."""
    if find_tag(name) is None and find_entry(name) is None:
        for source in sources:
            if (base := source(name)) is not None:
                return base
        entry = find_entry(adapter_base) if adapter_base else None
        if entry is not None and "/" not in name.removeprefix("library/"):
            tag = str(parse_name(name))
            similar = similar_ids(tag, 1)
            suggestion = f" (did you mean {similar[0]}?)" if similar else ""
            note = (
                f"{tag} is not in the catalog{suggestion}; the numbers of {entry.source_id} are used for it"
            )
            base = base_from_entry(entry)
            return replace(base, tag=tag, notes=(*base.notes, note))
    return read_base_by_name(name)
