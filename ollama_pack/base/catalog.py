"""The catalog of bases: their sizes and their Ollama models by Hugging Face id, without network access.

``catalog.tsv`` has one row for each id, sorted by id. An empty cell means unknown, and no value is a guess;
a row without numbers still names the Ollama model. The numbers are those of the model's config.json, and
``vocab`` is the number of rows of its embedding, padding included. ``arch`` is the architecture's name in
llama.cpp.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ollama_pack.arch.hparams import HParams, StateSpace
from ollama_pack.base.model import BaseModel, Positions
from ollama_pack.errors import UnsupportedError
from ollama_pack.ollama.names import ascii_lower

TABLE = Path(__file__).with_name("catalog.tsv")
CATALOG_COLUMNS = (
    *("id", "aliases", "tags", "quant", "confidence", "arch", "model_class"),
    *("blocks", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab"),
    *("experts", "expert_feed_forward", "states", "rope_base", "context", "norm_epsilon", "hub_gguf", "note"),
)

CATALOG = "catalog"
"""The `origin` of a base whose sizes are those of a row."""

BASE_FILE_HINT = "--base FILE.gguf"
_REQUIRED_NUMBERS = {
    "arch": "the architecture",
    "blocks": "the number of blocks",
    "heads": "the number of attention heads",
    "kv_heads": "the number of key and value heads",
    "head_dim": "the size of a head",
    "hidden": "the hidden size",
}

_NUMBERS = (*CATALOG_COLUMNS[7:14], "experts", "expert_feed_forward")


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
        experts: the number of routed experts.
        expert_feed_forward: the inner size of one expert.
        states: the sizes of layers with a recurrent state; all 0 if there are none or they are unknown.
        positions: rope base, context and norm epsilon.
        hub_gguf: a GGUF file of these weights on Hugging Face, ``OWNER/REPO:QUANT``; empty if there is a tag
            or no such file is known.
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
    experts: int | None
    expert_feed_forward: int | None
    states: StateSpace
    positions: Positions
    hub_gguf: str
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
    return tuple(map(_parse_row, _table_rows()))


def entry_named(name: str) -> CatalogEntry | None:
    """Return the row of an id or an alias, whose case does not matter, or None; only that row is parsed."""
    return _entry_with(name, 0, 1)


def entry_tagged(tag: str) -> CatalogEntry | None:
    """Return the row with an Ollama model, in any case, or None; only that row is parsed."""
    return _entry_with(tag, 2)


def base_from_entry(entry: CatalogEntry) -> BaseModel:
    """Return the base that a row of the catalog describes.

    Raises:
        UnsupportedError: Ollama does not run the model, or the row lacks numbers that a conversion needs.
    """
    if reason := why_not_run(entry):
        raise UnsupportedError(
            f"{entry.source_id} cannot run in Ollama: {reason}.",
            where=f"{TABLE.name}, row {entry.source_id}",
            hint="ollama-pack bases  lists the bases that can; an adapter of this one needs another runtime",
            code="base-not-run",
        )
    numbers = (entry.blocks, entry.heads, entry.kv_heads, entry.head_dim, entry.hidden)
    blocks, heads, kv_heads, head_dim, hidden = (number or 0 for number in numbers)
    missing = [words for name, words in _REQUIRED_NUMBERS.items() if not getattr(entry, name)]
    if missing:
        pull = f"ollama pull {entry.tag}  and build again: they are read from it. Or " if entry.tag else ""
        raise UnsupportedError(
            f"The catalog does not know {', '.join(missing)} of {entry.source_id}.",
            where=f"{TABLE.name}, row {entry.source_id}",
            hint=f"{pull}{BASE_FILE_HINT}  reads them from the model's GGUF file.",
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
            experts=entry.experts or 0,
            expert_feed_forward=entry.expert_feed_forward or 0,
            vocab=entry.vocab or 0,
            ssm=entry.states,
        ),
        origin=CATALOG,
        tag=entry.tag,
        source_id=entry.source_id,
        details={"file_type": entry.quant} if entry.quant else {},
        notes=(*entry.notes, *_tag_notes(entry)),
    )


def why_not_run(entry: CatalogEntry) -> str:
    """Return why no version of Ollama that is supported runs the model of a row, or an empty text.

    A row of a model that Ollama does not run has no architecture, or one that is not in the table.
    """
    # The table is imported here, because listing the catalog does not need it.
    from ollama_pack.arch.table import arch_of_hf_class, get_arch

    runs = get_arch(entry.arch) if entry.arch else arch_of_hf_class(entry.model_class)
    if runs is not None or not (entry.arch or entry.model_class):
        return ""
    return f"its llama.cpp has no support for {entry.model_class or entry.arch}"


def _entry_with(word: str, *columns: int) -> CatalogEntry | None:
    """Return the row that has a word in one of these columns, in any case, or None; it alone is parsed."""
    row = _rows_by(*columns).get(ascii_lower(word))
    return None if row is None else _parse_row(row)


@cache
def _table_rows() -> tuple[str, ...]:
    """Return the lines of the table without its header."""
    return tuple(TABLE.read_text(encoding="utf-8").splitlines()[1:])


@cache
def _rows_by(*columns: int) -> dict[str, str]:
    """Return the lines of the table by the words of these columns, in lower case; the last line counts."""
    rows: dict[str, str] = {}
    for row in _table_rows():
        cells = row.split("\t", max(columns) + 1)
        words = ascii_lower(" ".join(cells[column] for column in columns)).split()
        rows.update(dict.fromkeys(words, row))
    return rows


@cache
def _parse_row(row: str) -> CatalogEntry:
    """Return the entry of one line of the table."""
    cells = row.split("\t")
    source_id, aliases, tags, quant, confidence, arch, model_class, *numbers = cells[:16]
    states, rope_base, context, norm_epsilon, hub_gguf, note = cells[16:]
    sizes = [int(number) if number else None for number in numbers]
    blocks, heads, kv_heads, head_dim, hidden, feed_forward, vocab, experts, expert_feed_forward = sizes
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
        experts=experts,
        expert_feed_forward=expert_feed_forward,
        states=_parse_states(states),
        positions=_parse_positions(rope_base, context, norm_epsilon),
        hub_gguf=hub_gguf,
        notes=(note,) if note else (),
    )


@cache
def _parse_states(text: str) -> StateSpace:
    """Return the sizes of states: groups, heads, state and inner size, or all 0 if the cell is empty."""
    groups, heads, state, inner = map(int, text.split() or (0, 0, 0, 0))
    return StateSpace(groups=groups, heads=heads, state=state, inner=inner)


@cache
def _parse_positions(rope_base: str, context: str, norm_epsilon: str) -> Positions:
    """Return the numbers of three cells, which many rows have alike."""
    return Positions(
        rope_base=float(rope_base or 0), context=int(context or 0), norm_epsilon=float(norm_epsilon or 0)
    )


def _tag_notes(entry: CatalogEntry) -> Iterable[str]:
    """Yield a message if no tag is known, or if it is uncertain that the tag has these weights."""
    if not entry.tag:
        file = f"--base hf.co/{entry.hub_gguf}" if entry.hub_gguf else BASE_FILE_HINT
        yield f"No Ollama model of {entry.source_id} is known; {file} names its GGUF file."
    elif entry.confidence == "C":
        yield f"It is not certain that {entry.tag} is {entry.source_id}; see ollama show {entry.tag}."
