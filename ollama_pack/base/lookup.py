"""Finds a row of the catalog: by a Hugging Face id, a local copy's path, or the name of an Ollama model."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from ollama_pack.base.catalog import (
    BASE_FILE_HINT,
    CatalogEntry,
    base_from_entry,
    entry_named,
    entry_tagged,
    load_catalog,
)
from ollama_pack.base.model import BaseModel
from ollama_pack.base.spelling import (
    LOCAL_FOLDERS,
    MIRRORS,
    is_a_copy,
    name_key,
    names_in_path,
    plain_tag,
    without_chat_word,
)
from ollama_pack.errors import InputError, UsageError
from ollama_pack.ollama.names import ascii_lower, parse_name

UNSLOTH = "unsloth"
HUB_HOSTS = ("hf.co", "huggingface.co")
"""Hosts of names such as ``hf.co/OWNER/REPO:QUANT``, which Ollama pulls from Hugging Face."""

_CACHED = re.compile(r"(?:^|[/\\])models--([^/\\]+?)--([^/\\]+)")
_LOOKS_LIKE_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_TAG = re.compile(r"[^/\\]*:[^/\\]*")


def find_entry(source_id: str) -> CatalogEntry | None:
    """Return the row of a Hugging Face id or of the path of a local copy, or None if there is no such row.

    Case does not matter, and a copy in another number format is the same model, as ``base/spelling.py`` says.
    A directory of the Hugging Face cache has the id in its name. Any other path, and an id without its owner,
    is looked up by its name if only one row has it; a note of the returned entry says so, and also if an
    owner who is not known has such a copy.
    """
    text = source_id.strip().rstrip("/\\")
    if cached := _CACHED.search(text):
        text = f"{cached[1]}/{cached[2]}"
    entry = entry_named(text)
    if entry is not None:
        return entry
    if _LOOKS_LIKE_HUB_ID.fullmatch(text):
        owner, _, name = text.partition("/")
        entry = _named_by(owner, name)
        if entry is None or ascii_lower(owner) in MIRRORS or ascii_lower(owner) in _owners(entry):
            return entry
        return _taken_to_be(entry, text) if is_a_copy(name) or ascii_lower(owner) in LOCAL_FOLDERS else None
    for owner, name in names_in_path(text):
        entry = entry_named(f"{owner}/{name}") or _named_by(owner, name, in_path=True)
        if entry is not None:
            return _taken_to_be(entry, text)
    return None


def same_weights(one: CatalogEntry, other: CatalogEntry) -> bool:
    """Return whether two rows have the same weights; a row of Unsloth may have them in another layout."""
    return one.source_id == other.source_id or (
        name_key(_last(one.source_id)) == name_key(_last(other.source_id))
        and UNSLOTH in (_owner(one.source_id), _owner(other.source_id))
    )


def find_tag(tag: str) -> CatalogEntry | None:
    """Return the row whose weights the Ollama model `tag` has, or None if there is no such row.

    A missing ``:latest`` and ``library/`` are added as Ollama adds them; case does not matter.
    """
    try:
        name = parse_name(tag)
    except InputError:
        return None
    return entry_tagged(name.display)


def find_variant(tag: str) -> CatalogEntry | None:
    """Return the row of an Ollama model in another quantisation, or of a GGUF of ``hf.co``, or None.

    A note of the returned entry says that the name was taken for it.
    """
    try:
        name = parse_name(tag)
    except InputError:
        return None
    if name.host in HUB_HOSTS:
        entry = find_entry(f"{name.namespace}/{name.model}")
        return None if entry is None else _taken_to_be(entry, name.display)
    plain = plain_tag(name.display)
    entry = _by_plain_tag().get(plain)
    if entry is None and (shorter := without_chat_word(plain)) != plain:
        word = "-" + plain.rpartition("-")[2]
        chat = _by_plain_tag().get(shorter)
        entry = chat if chat is not None and word in ascii_lower(chat.source_id) else None
    return None if entry is None else _taken_to_be(entry, name.display)


def spelled_tag(tag: str) -> str:
    """Return an Ollama model's name as the catalog spells it, else as Ollama prints it.

    Raises:
        InputError: it is no name of an Ollama model.
    """
    name = parse_name(tag).display
    known = (
        each for entry in load_catalog() for each in entry.tags if ascii_lower(each) == ascii_lower(name)
    )
    return next(known, name)


def similar_ids(source_id: str, n: int = 3) -> tuple[str, ...]:
    """Return up to `n` ids of the catalog, the most similar first; for a tag, return tags instead."""
    # difflib is imported here because only an error message needs it.
    from difflib import SequenceMatcher

    wanted = ascii_lower(source_id.strip())
    known = _tags() if _TAG.fullmatch(wanted) else _ids()
    whole, last = SequenceMatcher(b=wanted), SequenceMatcher(b=_last(wanted))
    scores: dict[str, float] = {}
    for text, shown in known:
        whole.set_seq1(text)
        last.set_seq1(_last(text))
        scores[shown] = max(scores.get(shown, 0.0), whole.ratio() + last.ratio())
    similar = sorted((-score, shown) for shown, score in scores.items() if score >= 1.2)
    return tuple(shown for _, shown in similar[:n])


def read_base_by_name(text: str) -> BaseModel:
    """Return the base that is named by a Hugging Face id, the path of a local copy, or an Ollama tag.

    A base that is found by its tag keeps that tag, so that no other model has to be pulled.

    Raises:
        InputError: the catalog does not have the name; the hint lists similar names.
        UnsupportedError: the catalog has the name, but not the numbers that a conversion needs.
    """
    if entry := find_entry(text):
        return base_from_entry(entry)
    if entry := find_tag(text):
        return replace(base_from_entry(entry), tag=spelled_tag(text))
    similar = similar_ids(text)
    offer = f"{BASE_FILE_HINT}  accepts any GGUF model."
    if similar:
        offer += f" The catalog has {', '.join(similar)}."
    raise UsageError(
        f"No base is known by the name {text!r}.",
        where="the catalog of bases",
        hint=offer,
        code="base-unknown",
    )


def _named_by(owner: str, name: str, *, in_path: bool = False) -> CatalogEntry | None:
    """Return the row with a name in any spelling, or None unless exactly one row has it.

    Rows of the name's owner come first. Unsloth's own layouts are for Unsloth's names alone; a path does not
    tell whose copy it is.
    """
    rows = _index_by_key().get(name_key(name), ())
    own = [entry for entry in rows if ascii_lower(owner) in _owners(entry)]
    others = [entry for entry in rows if in_path or _owner(entry.source_id) != UNSLOTH]
    chosen = own or others
    return chosen[0] if len(chosen) == 1 else None


def _taken_to_be(entry: CatalogEntry, text: str) -> CatalogEntry:
    """Return a row with the note that a name was taken for it."""
    note = f"{text} is taken to be {entry.source_id}, because of its name."
    return entry if note in entry.notes else replace(entry, notes=(note, *entry.notes))


def _owners(entry: CatalogEntry) -> frozenset[str]:
    """Return the owners of an id and its aliases, in lower case."""
    return frozenset(map(_owner, entry.names))


def _owner(text: str) -> str:
    """Return the owner of an id in lower case; empty if it names none."""
    return ascii_lower(text.rpartition("/")[0])


def _last(text: str) -> str:
    """Return the last part of an id or a path."""
    return text.rpartition("/")[2]


@cache
def _index_by_key() -> dict[str, tuple[CatalogEntry, ...]]:
    """Return the rows by what all spellings of a name have in common, with and without its owner."""
    rows: dict[str, dict[str, CatalogEntry]] = {}
    for entry in load_catalog():
        for name in entry.names:
            for key in {name_key(_last(name)), name_key(name.replace("/", "-"))}:
                rows.setdefault(key, {})[entry.source_id] = entry
    return {key: tuple(entries.values()) for key, entries in rows.items()}


@cache
def _by_plain_tag() -> dict[str, CatalogEntry]:
    """Return the rows by tag without its quantisation, in lower case; of two rows with one tag, the first."""
    rows: dict[str, CatalogEntry] = {}
    for entry in load_catalog():
        for tag in entry.tags:
            rows.setdefault(plain_tag(tag), entry)
    return rows


def _ids() -> Iterable[tuple[str, str]]:
    """Return each id and alias in lower case, with the id to show for it."""
    return ((ascii_lower(name), entry.source_id) for entry in load_catalog() for name in entry.names)


def _tags() -> Iterable[tuple[str, str]]:
    """Return each tag in lower case, with the tag to show for it."""
    return ((ascii_lower(tag), tag) for entry in load_catalog() for tag in entry.tags)
