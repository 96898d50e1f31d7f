"""The catalog: what a Hugging Face id says about a base, without network.

``catalog.tsv`` has one row an id, sorted by id. A cell that is empty is unknown, never guessed: a row
without numbers still names the Ollama tag. The numbers are those of the model's config.json; ``vocab`` is
the number of rows of its embedding, padding included. ``arch`` is llama.cpp's name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.ollama.names import parse_name

TABLE = Path(__file__).with_name("catalog.tsv")
CATALOG_COLUMNS = (
    *("id", "aliases", "tags", "quant", "confidence", "arch", "model_class"),
    *("blocks", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab", "note"),
)

WAY_OUT = "--base FILE.gguf"
_NEEDED = {
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
        aliases: other ids of the same weights: older ids, mirrors.
        tags: Ollama's names for it, the one to build FROM first; empty where none is known.
        quant: how that tag is quantised, ``Q4_0``; empty where unknown.
        confidence: ``A`` two sources agree on tag and quantisation, ``B`` the tag is known, ``C`` it is
            not certain that the tag holds these weights; empty without a tag.
        arch: llama.cpp's name of the architecture, empty where unknown.
        model_class: the architecture's class in transformers, empty where unknown.
        blocks: number of transformer blocks, None where unknown; so are the next five.
        heads: number of attention heads.
        kv_heads: number of key and value heads.
        head_dim: size of one head.
        hidden: size of the residual stream.
        feed_forward: inner size of the feed-forward block, of one expert in a mixture.
        vocab: rows of the embedding.
        notes: what the user should know, one sentence or two each.
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
        """Return the Ollama model to build FROM, empty where none is known."""
        return self.tags[0] if self.tags else ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the id and its aliases."""
        return (self.source_id, *self.aliases)


@cache
def load_catalog() -> tuple[CatalogEntry, ...]:
    """Return every row of the catalog, sorted by id; read once."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(_parse_row(line.split("\t")) for line in lines[1:])


def find_entry(source_id: str) -> CatalogEntry | None:
    """Return the row of a Hugging Face id or of a local copy, None if there is none.

    Case does not matter, nor does the suffix of a 4-bit copy (``-bnb-4bit``). A directory of the
    Hugging Face cache is the id in its name. Any other path, and an id without its owner, is looked up
    by what it ends with, if that means one row only; a note of the returned entry then says so.
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
    return replace(entry, notes=(f"{text} was taken for {entry.source_id}, by its name.", *entry.notes))


def find_tag(tag: str) -> CatalogEntry | None:
    """Return the row whose weights the Ollama model `tag` holds, None if there is none.

    ``:latest`` and the library's prefix are filled in as Ollama does; case does not matter.
    """
    try:
        name = parse_name(tag)
    except InputError:
        return None
    return _by_tag().get(name.display.lower())


def similar_ids(source_id: str, n: int = 3) -> tuple[str, ...]:
    """Return up to `n` ids of the catalog, or tags for a tag, most similar to `source_id` first."""
    # Only for an error's text: everybody else need not wait for difflib.
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
        UnsupportedError: the row lacks numbers a conversion needs; names them.
    """
    numbers = (entry.blocks, entry.heads, entry.kv_heads, entry.head_dim, entry.hidden)
    blocks, heads, kv_heads, head_dim, hidden = (number or 0 for number in numbers)
    missing = [words for name, words in _NEEDED.items() if not getattr(entry, name)]
    if missing:
        raise UnsupportedError(
            f"The catalog does not know {', '.join(missing)} of {entry.source_id}.",
            where=f"{TABLE.name}, row {entry.source_id}",
            hint=f"{WAY_OUT}  takes them from the model's GGUF file.",
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
    """Return the base a Hugging Face id, the path of a local copy, or an Ollama tag means.

    A base found by its tag keeps that tag, so that nothing else has to be pulled.

    Raises:
        InputError: the catalog does not know the name; suggests what is similar.
        UnsupportedError: it does, but not the numbers a conversion needs.
    """
    if entry := find_entry(text):
        return base_from_entry(entry)
    if entry := find_tag(text):
        return replace(base_from_entry(entry), tag=parse_name(text).display.lower())
    similar = similar_ids(text)
    offer = f"{WAY_OUT}  takes any model in GGUF."
    if similar:
        offer += f" The catalog has {', '.join(similar)}."
    raise InputError(f"No base is known as {text!r}.", where="the catalog of bases", hint=offer)


def _parse_row(cells: list[str]) -> CatalogEntry:
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
    """Yield what is uncertain about the tag."""
    if not entry.tag:
        yield f"No Ollama tag is known to hold {entry.source_id}: give its GGUF file with {WAY_OUT}."
    elif entry.confidence == "C":
        yield f"It is not certain that {entry.tag} holds {entry.source_id}: see `ollama show {entry.tag}`."


def _row_named(text: str) -> CatalogEntry | None:
    """Return the row with this id or alias."""
    lowered = text.lower()
    return _index_by_name().get(lowered) or _index_by_name().get(_QUANTISED.sub("", lowered))


def _ending_in(text: str) -> CatalogEntry | None:
    """Return the one row with a name that ends in the part `text`, None for none or several."""
    wanted = _QUANTISED.sub("", text.lower())
    ends = [entry for entry in load_catalog() if any(_last(name.lower()) == wanted for name in entry.names)]
    return ends[0] if len(ends) == 1 else None


def _last(text: str) -> str:
    return text.rpartition("/")[2]


@cache
def _index_by_name() -> dict[str, CatalogEntry]:
    return {name.lower(): entry for entry in load_catalog() for name in entry.names}


@cache
def _by_tag() -> dict[str, CatalogEntry]:
    return {tag.lower(): entry for entry in load_catalog() for tag in entry.tags}


def _ids() -> Iterable[tuple[str, str]]:
    return ((name.lower(), entry.source_id) for entry in load_catalog() for name in entry.names)


def _tags() -> Iterable[tuple[str, str]]:
    return ((tag.lower(), tag) for entry in load_catalog() for tag in entry.tags)
