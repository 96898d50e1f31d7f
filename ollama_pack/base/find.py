"""Finds the base of an adapter.

A base is named by ``--base``, else by FROM in Modelfile.txt, else by ``base_model_name_or_path``. If that
names a file, the file is read as GGUF; if it names a directory with a config.json, that is read. Any other
name is looked up in the catalog, as an Ollama model or a Hugging Face id, then among the Hugging Face models
on this machine.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ollama_pack.base import hf_cache, hf_config
from ollama_pack.base.catalog import base_from_entry
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.hf_cache import is_hub_id
from ollama_pack.base.lookup import (
    find_entry,
    find_tag,
    find_variant,
    read_base_by_name,
    similar_ids,
)
from ollama_pack.base.missing_file import WINDOWS_PATH, require_from_file, require_named_file
from ollama_pack.base.model import BaseModel
from ollama_pack.base.spelling import is_a_copy
from ollama_pack.disk.files import user_path
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

    A name that is not in the catalog, or whose row has no numbers, is looked up among the installed Ollama
    models, among the Hugging Face models on this machine, and online. An Ollama model that none of them knows
    gets the numbers that its name tells, else those of the base that the adapter names, and a note says so.

    Args:
        references: the names of the base.
        installed: the source that knows the installed Ollama models.
        online: the source that knows models which are not on this machine.

    Raises:
        InputError: nothing names a base, the name is unknown, or its GGUF file is damaged.
        UnsupportedError: the base is known, but not the numbers that a conversion needs.
        DestinationError: the online source does not answer.
    """
    sources = _Sources(installed, online, references.adapter_base)
    if references.option:
        path = user_path(references.option)
        if (path / hf_config.CONFIG_JSON).is_file():
            return _with_tag(hf_config.read_config(path).base(), references.adapter_base)
        if is_path(references.option, path):
            require_named_file(path)
            return read_base_gguf(path)
        return sources.find(references.option, borrows=is_ollama_name(references.option))
    if references.modelfile_from:
        path = references.directory / user_path(references.modelfile_from)
        if is_path(references.modelfile_from, path):
            require_from_file(references.modelfile_from, path)
            return read_base_gguf(path)
        return sources.find(references.modelfile_from, borrows=True)
    if references.adapter_base:
        return sources.find(references.adapter_base, named=False)
    raise UsageError(
        "Nothing says which base the adapter belongs to.",
        where="adapter_config.json: base_model_name_or_path",
        hint="--base BASE, with an Ollama model (vicuna:7b), a Hugging Face id, or a GGUF file",
        code="base-not-named",
    )


class _Sources(NamedTuple):
    """Where the numbers of a named base may come from, and the base that the adapter names."""

    installed: Source
    online: Source
    adapter_base: str

    def find(self, name: str, *, named: bool = True, borrows: bool = False) -> BaseModel:
        """Return the base of a name: from the catalog, else from what is on this machine, else from the web.

        Args:
            name: an Ollama model, a Hugging Face id, or the path of a local copy.
            named: whether the user names it, so that it may be an Ollama model of any name.
            borrows: whether the numbers of the adapter's base serve for an Ollama model that nothing knows.

        Raises:
            InputError: no source knows the name.
            UnsupportedError: no source has the numbers of the base.
            DestinationError: the online source does not answer.
        """
        try:
            base = read_base_by_name(name)
            return self._own_model(name, base) if named else base
        except (InputError, UnsupportedError) as error:
            unknown = error
        installed = self._installed if named or find_entry(name) is not None else no_source
        for source in (installed, _cached, self.online):
            if (found := source(name)) is not None:
                return found
        borrowed = self._borrowed(name) if borrows and find_entry(name) is None else None
        if borrowed is not None:
            return borrowed
        more = _more_ways(name, borrows=borrows) if named and isinstance(unknown, InputError) else ""
        raise type(unknown)(unknown.what, where=unknown.where, hint=unknown.hint + more, code=unknown.code)

    def _own_model(self, name: str, base: BaseModel) -> BaseModel:
        """Return a user's own Ollama model whose name looks like that of a base, else the base.

        ``llama-3.2-3b-instruct-q8`` is such a name: FROM it must not become FROM another model.
        """
        elsewhere = _names_registry(name)
        if (re.search(r"[/\\:]", name) and not elsewhere) or find_tag(name) is not None:
            return base
        if (own := self.installed(name)) is not None:
            return replace(
                own, source_id=own.source_id or base.source_id, notes=(*own.notes, *base.notes[:1])
            )
        copy = elsewhere or is_a_copy(name)
        return replace(base, tag=str(parse_name(name)), details={}) if copy else base

    def _installed(self, name: str) -> BaseModel | None:
        """Return an installed model, which may be the catalog's for an id, or None if it is not installed."""
        entry = find_entry(name)
        base = self.installed(name) if entry is None else self.installed(entry.tag) if entry.tag else None
        if base is None:
            return None
        meant = entry or find_tag(name) or find_variant(name)
        notes = (*meant.notes, *base.notes) if meant is not None and not base.source_id else base.notes
        source_id = base.source_id or (meant.source_id if meant is not None else "")
        return replace(base, source_id=source_id, notes=notes)

    def _borrowed(self, name: str) -> BaseModel | None:
        """Return an Ollama model with the numbers of its name or of the adapter's base, or None."""
        try:
            tag = str(parse_name(name))
        except InputError:
            return None
        variant = find_variant(name)
        with contextlib.suppress(UnsupportedError):  # neither row may have the numbers
            if variant is not None:
                base = base_from_entry(variant)
                return replace(base, tag=tag, details={}, notes=variant.notes)
            entry = find_entry(self.adapter_base) if self.adapter_base else None
            if entry is not None:
                similar = similar_ids(tag, 1) if "/" not in tag else ()
                suggestion = f" (did you mean {similar[0]}?)" if similar else ""
                note = f"{tag} is not in the catalog{suggestion}; "
                note += f"the numbers of {entry.source_id} are used for it"
                base = base_from_entry(entry)
                return replace(base, tag=tag, details={}, notes=(*entry.notes, note))
        return None


def _more_ways(name: str, *, borrows: bool) -> str:
    """Return what else helps if a name that the user gave is not known."""
    if borrows:
        pull = f"ollama pull {shlex.quote(name)}"
        return f" {pull}  and build again reads its numbers; --online  asks its registry."
    return f" --base {name}:latest  names an Ollama model." if is_hub_id(name) else ""


def _cached(name: str) -> BaseModel | None:
    """Return a Hugging Face model on this machine, with the catalog's Ollama model for it, or None.

    Raises:
        InputError: its config.json is damaged.
        UnsupportedError: the class of the model has no row in the table of architectures.
    """
    local = hf_cache.find_local(name, os.environ)
    if local is None:
        return None
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


def is_ollama_name(text: str) -> bool:
    """Return whether a text can only be the name of an Ollama model, and not a Hugging Face id.

    It has a tag, or a host, or no owner: ``me/mine:latest``, ``hf.co/OWNER/REPO``, ``mine``.
    """
    *owner, last = text.split("/")
    if len(owner) == 2:
        return _names_registry(text)
    return ":" in last or not owner or owner == ["library"]


def _names_registry(text: str) -> bool:
    """Return whether a text begins with the host of a registry: ``hf.co/OWNER/REPO``."""
    host, *names = text.rpartition("://")[2].split("/")
    named = host == "localhost" or ":" in host or ("." in host and not host.startswith("."))
    return named and len(names) == 2


def is_path(text: str, path: Path) -> bool:
    """Return whether `text`, which as a path would be `path`, names a file and not a model.

    A directory of that name does not count, because it may be a local copy of a Hugging Face model.
    """
    plain = text.strip("'")
    if _names_registry(plain) and ":" in plain.rpartition("/")[2]:  # the tag may be the name of a file there
        return False
    if plain.lower().endswith(".gguf") or plain.startswith((".", "/", "~")) or WINDOWS_PATH.match(plain):
        return True
    try:
        return path.is_file()
    except OSError:  # the name is too long, or the directory is not accessible
        return False
