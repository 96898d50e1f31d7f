"""What the vocabulary of a merged file must be, for the proof alone.

A model that was trained with other tokens than its base has saved its embedding and its head whole, or rows
of them. Their number is that of the merged model's tokens. A new token is the one that the tokenizer in
training had; a row for which the tokenizer has no token is ``[PADn]``. Special tokens are of llama.cpp's
type CONTROL, other added ones USER_DEFINED, rows without a token UNUSED. Nothing here comes from the plan of
the merge; what is shared with it is the adapter, with the embedding and the head that
`ollama_pack.lora.embedding_rows` found for it.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ollama_pack.base.model import BaseModel
from ollama_pack.errors import ProofError
from ollama_pack.gguf.model_info import Vocabulary
from ollama_pack.gguf.reader import GgufFile, LongArray, read_gguf
from ollama_pack.lora.adapter import Adapter
from ollama_pack.verify.tensor_names import EMBEDDING_NAME, HEAD_NAME, parse_module, tensor_names

ROW_FOR_EACH_TOKEN = frozenset({f"{EMBEDDING_NAME}.weight", f"{HEAD_NAME}.weight", f"{HEAD_NAME}.bias"})
TOKEN_TEXTS, TOKEN_TYPES, TOKEN_SCORES, TOKEN_MERGES = (
    f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "scores", "merges")
)
_IDS = {"bos": "bos", "eos": "eos", "pad": "padding"}
_ITEM = {TOKEN_TYPES: "i", TOKEN_SCORES: "f"}
_FREE = re.compile(r"\[PAD\d+\]|<.*>")
_CONTROL_SHAPES = (("<|", "|>"), ("<\uff5c", "\uff5c>"), ("<unused", ">"))
_CONTROL_NAMES = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")


def as_trained(base: BaseModel, adapter: Adapter) -> BaseModel:
    """Return the base with its number of layers, and of rows in embedding and head, during training."""
    count = _trained_rows(base, adapter)
    tensors = {
        name: (count, *shape[1:]) if count and name in ROW_FOR_EACH_TOKEN else shape
        for name, shape in (base.tensors or {}).items()
    }
    layers = trained_layers(adapter)
    if layers:
        kinds = {name.split(".", 2)[2] for name in tensors if name.startswith("blk.")}
        blocks = {
            f"blk.{place}.{kind}": tensors[f"blk.{layer}.{kind}"]
            for place, layer in enumerate(layers)
            for kind in sorted(kinds)
            if f"blk.{layer}.{kind}" in tensors
        }
        tensors = {name: shape for name, shape in tensors.items() if not name.startswith("blk.")} | blocks
    return replace(base, tensors=tensors)


def trained_layers(adapter: Adapter) -> list[int]:
    """Return for each layer in training its layer of the base; empty if no layers were repeated."""
    return [
        layer for first, end in adapter.config.get("layer_replication") or () for layer in range(first, end)
    ]


def _trained_rows(base: BaseModel, adapter: Adapter) -> int:
    """Return the number of rows that were trained or saved, or 0 if it is that of the base."""
    last = 0
    for trained in adapter.beside:
        names = set(tensor_names(parse_module(trained.module), base.hparams))
        if trained.rule in ("whole-embedding", "resized") and names & ROW_FOR_EACH_TOKEN:
            return trained.tensor.shape[0]
        if trained.rule == "trained-tokens":
            last = max(last, *(number + 1 for number in trained_tokens(adapter, trained.module)))
    return last if last > (base.tensors or {}).get(f"{EMBEDDING_NAME}.weight", (0,))[0] else 0


def trained_tokens(adapter: Adapter, module: str) -> tuple[int, ...]:
    """Return the ids of the tokens of a module that were trained, in the order of their rows."""
    setting = adapter.config.get("trainable_token_indices") or adapter.config["token_indices"]
    if isinstance(setting, dict):
        setting = setting[module.rpartition(".")[2]]
    return tuple(setting)


def prove_vocabulary(base: GgufFile, merged: GgufFile, trained: Vocabulary) -> frozenset[str]:
    """Require the tokens of a merged file to be those of the base and of the training, and return the keys.

    Args:
        base: the header of the base.
        merged: the header of the merged file.
        trained: the tokenizer that the training used.

    Raises:
        ProofError: a token, its type or its score, a merge, or the id of a special token differs.
    """
    before, after = (read_gguf(each.path, (TOKEN_TEXTS, TOKEN_MERGES)) for each in (base, merged))
    old, new = (list(_kept_texts(each, TOKEN_TEXTS)) for each in (before, after))
    rows = merged.shapes[f"{EMBEDDING_NAME}.weight"][0]
    if len(new) != rows:
        raise _wrong_words(merged, TOKEN_TEXTS, f"there are {len(new)} tokens for {rows} rows")
    for place, text in enumerate(new):
        wanted = _wanted_token(place, old, trained)
        if text not in wanted:
            raise _wrong_words(
                merged, TOKEN_TEXTS, f"token {place} is {text!r}, and {wanted[0]!r} in training"
            )
    changed = [place for place, text in enumerate(new) if place >= len(old) or text != old[place]]
    _require_numbers_of_tokens(base, merged, changed, trained)
    there, found = (tuple(_kept_texts(each, TOKEN_MERGES)) for each in (before, after))
    goes_on = there and trained.merges[: len(there)] == there
    if found != (trained.merges if goes_on else there):
        raise _wrong_words(merged, TOKEN_MERGES, "they are those of neither the base nor the training")
    ids = {f"tokenizer.ggml.{name}_token_id": trained.special.get(kind) for kind, name in _IDS.items()}
    for key, own in ids.items():
        expected = own if own in changed else base.metadata.get(key)
        if merged.metadata.get(key) != expected:
            raise _wrong_words(merged, key, f"it is {merged.metadata.get(key)}, and {expected} in training")
    count = f"{base.text('general.architecture')}.vocab_size"
    if merged.metadata.get(count, rows) != rows:
        raise _wrong_words(merged, count, f"it is {merged.metadata[count]} for {rows} rows")
    return frozenset({TOKEN_TEXTS, TOKEN_TYPES, TOKEN_SCORES, TOKEN_MERGES, count, *ids})


def _wanted_token(place: int, old: Sequence[str], trained: Vocabulary) -> tuple[str, ...]:
    """Return how a token may be spelled: a new token as in training, a token of the base as in the base.

    A token that was added in training may have the place of one that the base kept free.
    """
    own = trained.tokens.get(place, f"[PAD{place}]")
    spellings = (own, own.replace("\u2581", " "))
    if place >= len(old):
        return spellings
    if place not in trained.added or not _FREE.fullmatch(old[place]):
        return (old[place],)
    return spellings if old[place].startswith("[PAD") else (*spellings, old[place])


def _require_numbers_of_tokens(
    base: GgufFile, merged: GgufFile, changed: Sequence[int], trained: Vocabulary
) -> None:
    """Require the right types and scores of the base's tokens and of the new ones.

    Raises:
        ProofError: a type or a score differs.
    """
    count = merged.shapes[f"{EMBEDDING_NAME}.weight"][0]
    types, scores = _expected_types(changed, trained), _expected_scores(changed, trained)
    for key, expected in ((TOKEN_TYPES, types), (TOKEN_SCORES, scores)):
        there, found = (list(_array_numbers(each, key)) for each in (base, merged))
        if not there and key == TOKEN_SCORES:
            continue
        wanted = ((there or [1.0] * count) + [0.0] * count)[:count]
        for place, number in zip(changed, expected, strict=True):
            wanted[place] = number
        if found != wanted:
            raise _wrong_words(merged, key, "it is not what the tokens need")


def _expected_types(changed: Sequence[int], trained: Vocabulary) -> Iterator[int]:
    """Yield llama.cpp's type of each new token."""
    for place in changed:
        text = trained.tokens.get(place)
        if text is None:
            yield 5
        elif place not in trained.added:
            yield 1
        else:
            like = text in _CONTROL_NAMES or any(
                text.startswith(begin) and text.endswith(end) for begin, end in _CONTROL_SHAPES
            )
            yield 3 if trained.added[place] or like else 4


def _expected_scores(changed: Sequence[int], trained: Vocabulary) -> Iterator[float]:
    """Yield the score of each new token."""
    yield from (-1000.0 if place in trained.tokens else -10000.0 for place in changed)


def _kept_texts(header: GgufFile, key: str) -> Iterator[str]:
    """Yield the texts of an array that was read whole."""
    value = header.metadata.get(key, ())
    if isinstance(value, tuple):
        yield from map(str, value)


def _array_numbers(header: GgufFile, key: str) -> tuple[float, ...]:
    """Return the numbers of an array; empty if the file lacks it."""
    value = header.metadata.get(key, ())
    if not isinstance(value, LongArray):
        return tuple(float(each) for each in value) if isinstance(value, tuple) else ()
    size = value.length * struct.calcsize(_ITEM[key])
    with header.path.open("rb") as file:
        file.seek(header.spans[key][1] - size)
        return struct.unpack(f"<{value.length}{_ITEM[key]}", file.read(size))


def _wrong_words(merged: GgufFile, key: str, what: str) -> ProofError:
    """Return the error for a key of the vocabulary."""
    return ProofError(
        f"The vocabulary is not the trained one: {what}.", where=f"{merged.path}: {key}", code="merged"
    )
