"""A vocabulary that was resized for training: what the tokens of a merged model are.

`ollama_pack.lora.embedding_rows` says where its rows come from, and `ollama_pack.merge.vocabulary` writes it.
What a row without a token becomes, and which tokens count as special, is what llama.cpp's converter does. See
"A resized vocabulary is the adapter's" in docs/decisions.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.embedding_rows import (
    VOCABULARY_TENSORS,
    require_new_rows,
    rows_trained,
    with_whole_embeddings,
)
from ollama_pack.lora.peft.embedding_copies import RESIZED
from ollama_pack.lora.replication import replicated_layers, with_layers
from ollama_pack.lora.untied import EMBEDDINGS, untied

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""llama.cpp's types of tokens."""

SHOWN_TOKENS = 4
PLACEHOLDER = re.compile(r"\[PAD\d+\]|<\|?(?:dummy|reserved|unused|extra|pad)[\w|]*>|<pad>", re.IGNORECASE)
"""Tokens of a base that are placeholders for later ones."""

LOOKS_SPECIAL = re.compile(r"<pad>|<mask>|<2mass>|\[@BOS@\]|<\|.*\|>|<｜.*｜>|<unused.*>", re.DOTALL)
"""Added tokens that llama.cpp's converter takes for special ones, whatever the tokenizer says."""

SAVE_TOKENIZER = "tokenizer.save_pretrained(DIR), or copy tokenizer.json and tokenizer_config.json into DIR"


class NewToken(NamedTuple):
    """A token that the base does not have.

    Attributes:
        text: the token, as the tokenizer spells it.
        kind: llama.cpp's type of it.
    """

    text: str
    kind: int


@dataclass(frozen=True, slots=True)
class VocabularyChange:
    """How the vocabulary of a merged model differs from that of its base.

    Attributes:
        before: the number of tokens in the base.
        size: the number of tokens in the merged model.
        tokens: the new tokens, by id.
        special: ``bos``, ``eos`` or ``pad`` → the id, where that token is a new one.
        merges: the merges of a byte-pair tokenizer that the base does not have.
    """

    before: int
    size: int
    tokens: Mapping[int, NewToken] = field(default_factory=dict)
    special: Mapping[str, int] = field(default_factory=dict)
    merges: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what changes, for people."""
        named = [repr(each.text) for each in self.tokens.values() if each.kind != UNUSED]
        padding = len(self.tokens) - len(named)
        more = f" and {len(named) - SHOWN_TOKENS} more" if len(named) > SHOWN_TOKENS else ""
        parts = [f"new: {', '.join(named[:SHOWN_TOKENS])}{more}"] if named else []
        parts += [f"{padding} rows without a token"] if padding else []
        parts += [f"{self.before - self.size} fewer, as in training"] if self.size < self.before else []
        return f"{self.size} tokens, {self.before} in the base ({'; '.join(parts)})"


def fit_vocabulary(
    adapter: Adapter, base: BaseModel, trained: Vocabulary | None
) -> tuple[Adapter, VocabularyChange | None]:
    """Return the adapter with all embeddings that a merged model needs, and how its tokens differ.

    If the vocabulary is that of the base, None is returned for the tokens.

    Args:
        adapter: the adapter, read to be merged.
        base: its base.
        trained: the tokenizer that was saved with the adapter, or None if there was none.

    Raises:
        InputError: embedding and head have different numbers of rows, or nothing names the new tokens.
        UnsupportedError: the rows of new tokens are not in the adapter, or its tokens are of another kind.
    """
    rows = (base.tensors or {}).get(EMBEDDINGS, (0,))[0]
    if not rows:
        return adapter, None
    size = rows_trained(adapter, base) or rows
    change = _tokens_of(adapter, base, trained, rows, size)
    if size != rows:
        adapter = with_whole_embeddings(adapter, base)
        require_new_rows(adapter, into_base(base, adapter, change), rows, size)
    elif any(each.rule == RESIZED for each in adapter.beside):
        adapter = with_whole_embeddings(replace(adapter, copies=()), base)
    return (adapter if change is None else replace(adapter, vocabulary=trained or Vocabulary({}))), change


def into_base(base: BaseModel, adapter: Adapter, change: VocabularyChange | None) -> BaseModel:
    """Return the base as an adapter is merged into it: with its layers, rows, and a head if it needs one.

    If nothing changes, the same object is returned.
    """
    base = untied(with_layers(base, replicated_layers(adapter, base)), adapter)
    if change is None or change.size == change.before:
        return base
    tensors = dict(base.tensors or {})
    for name in VOCABULARY_TENSORS:
        if name in tensors:
            tensors[name] = (change.size, *tensors[name][1:])
    return replace(base, tensors=tensors, hparams=replace(base.hparams, vocab=change.size))


def without_new(trained: Vocabulary, change: VocabularyChange) -> Vocabulary:
    """Return the part of a tokenizer that the base itself must have, because merging does not add it."""
    return replace(
        trained,
        tokens={number: text for number, text in trained.tokens.items() if number not in change.tokens},
        special={kind: number for kind, number in trained.special.items() if kind not in change.special},
        merges=trained.merges[: len(trained.merges) - len(change.merges)],
    )


def _tokens_of(
    adapter: Adapter, base: BaseModel, trained: Vocabulary | None, rows: int, size: int
) -> VocabularyChange | None:
    """Return how the tokens of a merged model differ from its base's, or None if they do not."""
    known = base.info.vocabulary if base.info is not None else None
    if trained is None or known is None:
        if size > rows:
            lacks = "The adapter has no tokenizer" if trained is None else "The base lists no tokens"
            raise InputError(
                f"{lacks}, so nothing names the {size - rows} tokens that the base lacks.",
                where=adapter.directory,
                hint=SAVE_TOKENIZER if trained is None else "--base with a GGUF file that has its tokenizer",
                code="tokens-unknown",
            )
        return VocabularyChange(rows, size) if size < rows else None
    _require_ids(size, adapter, base)
    tokens: dict[int, NewToken] = {}
    for number in range(rows, size):
        tokens[number] = _new_token(number, trained)
    for number, text in ((number, trained.tokens[number]) for number in trained.added):
        there = known.tokens.get(number, "")
        if number < min(rows, size) and there != text and PLACEHOLDER.fullmatch(there):
            tokens[number] = _new_token(number, trained)
    tokens = {number: token for number, token in tokens.items() if known.tokens.get(number) != token.text}
    if size == rows and not tokens:
        return None
    _require_writable(tokens, adapter, base)
    special = {kind: number for kind, number in trained.special.items() if number in tokens}
    more = trained.merges[len(known.merges) :]
    more = more if known.merges and trained.merges[: len(known.merges)] == known.merges else ()
    return VocabularyChange(rows, size, dict(sorted(tokens.items())), special, more)


def _new_token(number: int, trained: Vocabulary) -> NewToken:
    """Return what a row of the vocabulary is for llama.cpp, as its converter has it."""
    text = trained.tokens.get(number)
    if text is None:
        return NewToken(f"[PAD{number}]", UNUSED)
    if number not in trained.added:
        return NewToken(text, NORMAL)
    if trained.added[number] or LOOKS_SPECIAL.fullmatch(text):
        return NewToken(text, CONTROL)
    return NewToken(text.replace("\u2581", " "), USER_DEFINED)


def _require_writable(tokens: Mapping[int, NewToken], adapter: Adapter, base: BaseModel) -> None:
    """Require that new tokens were added to a tokenizer; pieces, which have scores, were trained with it.

    Raises:
        UnsupportedError: there are such pieces.
    """
    model = base.info.metadata.get("tokenizer.ggml.model") if base.info is not None else ""
    pieces = [token.text for token in tokens.values() if token.kind == NORMAL]
    if pieces and model != "gpt2":
        raise UnsupportedError(
            f"{pieces[0]!r} was trained as a piece and not added: GGUF needs its score, which is not here.",
            where=adapter.directory,
            hint="add new tokens with tokenizer.add_tokens, and train again",
            code="not-mergeable",
        )


def _require_ids(size: int, adapter: Adapter, base: BaseModel) -> None:
    """Require that a smaller vocabulary still has the special tokens of the base.

    Raises:
        UnsupportedError: it has lost one.
    """
    ids = dict(base.info.metadata) if base.info is not None else {}
    for key, number in ids.items():
        named = key.startswith("tokenizer.ggml.") and key.endswith("_token_id")
        if named and isinstance(number, int) and number >= size:
            raise UnsupportedError(
                f"The adapter was trained with {size} tokens, and {key} of the base is {number}.",
                where=adapter.weights,
                hint="train again without model.resize_token_embeddings",
                code="not-mergeable",
            )
