"""The catalog of bases: their sizes and their Ollama models by Hugging Face id, without network access.

``catalog.tsv`` has one row for each id, sorted by id. An empty cell means unknown, and no value is a guess;
a row without numbers still names the Ollama model. The numbers are those of the model's config.json, and
``vocab`` is the number of rows of its embedding, padding included. ``arch`` is the architecture's name in
llama.cpp.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError, UsageError
from ollama_pack.ollama.names import parse_name

TABLE = Path(__file__).with_name("catalog.tsv")
CATALOG_COLUMNS = (
    *("id", "aliases", "tags", "quant", "confidence", "arch", "model_class"),
    *("blocks", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab", "note"),
)

BASE_FILE_HINT = "--base FILE.gguf"
_REQUIRED_NUMBERS = {
    "arch": "the architecture",
    "blocks": "the number of blocks",
    "heads": "the number of attention heads",
    "kv_heads": "the number of key and value heads",
    "head_dim": "the size of a head",
    "hidden": "the hidden size",
}

_QUANTISED = re.compile(r"(-unsloth)?-bnb-4bit$")
_CACHED = re.compile(r"(?:^|[/\\])models--([^/\\]+?)--([^/\\]+)")
_LOOKS_LIKE_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_TAG = re.compile(r"[^/\\]*:[^/\\]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One row of the catalog.

    Attributes:
        source_id: the Hugging Face id, as its authors spell it.
        aliases: other ids of the same weights, such as older ids and mirrors.
        tags: the Ollama models with these weights, the one to build FROM first; empty if none is known.
        quant: the quantisation of the first tag, such as ``Q4_0``; empty if it is unknown.
        confidence: ``A`` if two sources agree on tag and quantisation, ``B`` if the tag is known, ``C`` if it
            is uncertain whether the tag has these weights; empty if there is no tag.
        arch: the name of the architecture in llama.cpp, or empty if it is unknown.
        model_class: the class of the model in transformers, or empty if it is unknown.
        blocks: the number of transformer blocks, or None if it is unknown, as for each number below.
        heads: the number of attention heads.
        kv_heads: the number of key and value heads.
        head_dim: the size of one head.
        hidden: the size of the residual stream.
        feed_forward: the inner size of the feed-forward block; in a mixture of experts, that of one expert.
        vocab: the number of rows of the embedding.
        notes: messages for the user, of one or two sentences each.
    """

    source_id: str
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    quant: str
    confidence: str
    arch: str
    model_class: str
    blocks: int | None
    heads: int | None
    kv_heads: int | None
    head_dim: int | None
    hidden: int | None
    feed_forward: int | None
    vocab: int | None
    notes: tuple[str, ...]

    @property
    def tag(self) -> str:
        """Return the Ollama model to build FROM, or an empty text if none is known."""
        return self.tags[0] if self.tags else ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the id and its aliases."""
        return (self.source_id, *self.aliases)


@cache
def load_catalog() -> tuple[CatalogEntry, ...]:
    """Return every row of the catalog, sorted by id; the file is read once."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(_parse_row(line.split("\t")) for line in lines[1:])


def find_entry(source_id: str) -> CatalogEntry | None:
    """Return the row of a Hugging Face id or of the path of a local copy, or None if there is no such row.

    Case does not matter, and the suffix of a 4-bit copy (``-bnb-4bit``) is ignored. A directory of the
    Hugging Face cache has the id in its name. Any other path, and an id without its owner, is looked up by
    its last part if only one row ends in it; a note of the returned entry says so.
    """
    text = source_id.strip().rstrip("/\\")
    if cached := _CACHED.search(text):
        return _row_named(f"{cached[1]}/{cached[2]}")
    entry = _row_named(text)
    if entry or _LOOKS_LIKE_HUB_ID.fullmatch(text):
        return entry
    parts = re.split(r"[/\\]+", text)
    entry = _row_named("/".join(parts[-2:])) or _ending_in(parts[-1])
    if entry is None:
        return None
    return replace(
        entry, notes=(f"{text} is taken to be {entry.source_id}, because of its name.", *entry.notes)
    )


def find_tag(tag: str) -> CatalogEntry | None:
    """Return the row whose weights the Ollama model `tag` has, or None if there is no such row.

    A missing ``:latest`` and ``library/`` are added as Ollama adds them; case does not matter.
    """
    try:
        name = parse_name(tag)
    except InputError:
        return None
    return _by_tag().get(name.display.lower())


def similar_ids(source_id: str, n: int = 3) -> tuple[str, ...]:
    """Return up to `n` ids of the catalog, the most similar first; for a tag, return tags instead."""
    # difflib is imported here because only an error message needs it.
    from difflib import SequenceMatcher

    wanted = source_id.strip().lower()
    known = _tags() if _TAG.fullmatch(wanted) else _ids()
    whole, last = SequenceMatcher(b=wanted), SequenceMatcher(b=_last(wanted))
    scores: dict[str, float] = {}
    for text, shown in known:
        whole.set_seq1(text)
        last.set_seq1(_last(text))
        scores[shown] = max(scores.get(shown, 0.0), whole.ratio() + last.ratio())
    similar = sorted((-score, shown) for shown, score in scores.items() if score >= 1.2)
    return tuple(shown for _, shown in similar[:n])


def base_from_entry(entry: CatalogEntry) -> BaseModel:
    """Return the base that a row of the catalog describes.

    Raises:
        UnsupportedError: the row lacks numbers that a conversion needs.
    """
    numbers = (entry.blocks, entry.heads, entry.kv_heads, entry.head_dim, entry.hidden)
    blocks, heads, kv_heads, head_dim, hidden = (number or 0 for number in numbers)
    missing = [words for name, words in _REQUIRED_NUMBERS.items() if not getattr(entry, name)]
    if missing:
        raise UnsupportedError(
            f"The catalog does not know {', '.join(missing)} of {entry.source_id}.",
            where=f"{TABLE.name}, row {entry.source_id}",
            hint=f"{BASE_FILE_HINT}  reads them from the model's GGUF file.",
            code="base-numbers-unknown",
        )
    return BaseModel(
        hparams=HParams(
            arch=entry.arch,
            blocks=blocks,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            hidden=hidden,
            feed_forward=entry.feed_forward or 0,
            vocab=entry.vocab or 0,
        ),
        origin="catalog",
        tag=entry.tag,
        source_id=entry.source_id,
        details={"file_type": entry.quant} if entry.quant else {},
        notes=(*entry.notes, *_doubts(entry)),
    )


def read_base_by_name(text: str) -> BaseModel:
    """Return the base that is named by a Hugging Face id, the path of a local copy, or an Ollama tag.

    A base that is found by its tag keeps that tag, so that no other model has to be pulled; it is
    spelled as the registry spells it, with its capitals.

    Raises:
        InputError: the catalog does not have the name; the hint lists similar names.
        UnsupportedError: the catalog has the name, but not the numbers that a conversion needs.
    """
    if entry := find_entry(text):
        return base_from_entry(entry)
    if entry := find_tag(text):
        wanted = parse_name(text).display.lower()
        return replace(base_from_entry(entry), tag=next(tag for tag in entry.tags if tag.lower() == wanted))
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


def _parse_row(cells: list[str]) -> CatalogEntry:
    """Return the entry of one row of the table."""
    source_id, aliases, tags, quant, confidence, arch, model_class, *numbers, note = cells
    blocks, heads, kv_heads, head_dim, hidden, feed_forward, vocab = [int(n) if n else None for n in numbers]
    return CatalogEntry(
        source_id=source_id,
        aliases=tuple(aliases.split()),
        tags=tuple(tags.split()),
        quant=quant,
        confidence=confidence,
        arch=arch,
        model_class=model_class,
        blocks=blocks,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=hidden,
        feed_forward=feed_forward,
        vocab=vocab,
        notes=(note,) if note else (),
    )


def _doubts(entry: CatalogEntry) -> Iterable[str]:
    """Yield a message if no tag is known, or if it is uncertain that the tag has these weights."""
    if not entry.tag:
        yield f"No Ollama model of {entry.source_id} is known; name its GGUF file with {BASE_FILE_HINT}."
    elif entry.confidence == "C":
        yield f"It is not certain that {entry.tag} is {entry.source_id}; see ollama show {entry.tag}."


def _row_named(text: str) -> CatalogEntry | None:
    """Return the row with this id or alias, with or without the suffix of a 4-bit copy."""
    lowered = text.lower()
    return _index_by_name().get(lowered) or _index_by_name().get(_QUANTISED.sub("", lowered))


def _ending_in(text: str) -> CatalogEntry | None:
    """Return the row with an id that ends in the part `text`, or None unless exactly one row has one."""
    wanted = _QUANTISED.sub("", text.lower())
    ends = [entry for entry in load_catalog() if any(_last(name.lower()) == wanted for name in entry.names)]
    return ends[0] if len(ends) == 1 else None


def _last(text: str) -> str:
    """Return the last part of an id or a path."""
    return text.rpartition("/")[2]


@cache
def _index_by_name() -> dict[str, CatalogEntry]:
    """Return the rows by id and alias, in lower case."""
    return {name.lower(): entry for entry in load_catalog() for name in entry.names}


@cache
def _by_tag() -> dict[str, CatalogEntry]:
    """Return the rows by tag, in lower case."""
    return {tag.lower(): entry for entry in load_catalog() for tag in entry.tags}


def _ids() -> Iterable[tuple[str, str]]:
    """Return each id and alias in lower case, with the id to show for it."""
    return ((name.lower(), entry.source_id) for entry in load_catalog() for name in entry.names)


def _tags() -> Iterable[tuple[str, str]]:
    """Return each tag in lower case, with the tag to show for it."""
    return ((tag.lower(), tag) for entry in load_catalog() for tag in entry.tags)
