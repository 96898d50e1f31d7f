"""Writes the vocabulary of a merged file, if it is not that of the base: tokens, types, scores and merges.

The keys of the base are changed as bytes, so that unchanged texts stay the same, even if they are not UTF-8.
"""

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ollama_pack.errors import InputError
from ollama_pack.gguf.constants import ARRAY, FLOAT32, INT32, STRING
from ollama_pack.gguf.model_info import SPECIAL_KEYS, TOKENS_KEY, VOCABULARY_KEYS
from ollama_pack.gguf.reader import GgufFile
from ollama_pack.gguf.writer import pack_key, pack_value
from ollama_pack.lora.vocabulary import NORMAL, UNUSED, VocabularyChange

MERGES_KEY = VOCABULARY_KEYS[1]
TYPES_KEY, SCORES_KEY = "tokenizer.ggml.token_type", "tokenizer.ggml.scores"
ADDED_SCORE, PADDING_SCORE = -1000.0, -10000.0
"""The converter's scores of a token that was added to a SentencePiece model, and of a row without a token."""

Numbers = npt.NDArray[np.generic]


def vocabulary_keys(header: GgufFile, change: VocabularyChange) -> dict[str, bytes]:
    """Return the keys of a changed vocabulary, each with its bytes as they are written.

    Args:
        header: the header of the base.
        change: the number of tokens, and the tokens, merges and special tokens that differ.

    Raises:
        InputError: the base has no list of tokens, or one of another length than its embeddings.
    """
    tokens = list(_array_texts(header, TOKENS_KEY))
    if len(tokens) != change.before:
        raise InputError(
            f"The base has {change.before} rows of embeddings and {len(tokens)} tokens.",
            where=f"{header.path}: {TOKENS_KEY}",
            hint="--base with a GGUF file that llama.cpp's converter wrote",
            code="does-not-fit",
        )
    types = _array_items(header, TYPES_KEY, "<i4", np.full(change.before, NORMAL, "<i4"))
    scores = _array_items(header, SCORES_KEY, "<f4", np.zeros(0, "<f4"))
    size = change.size
    tokens = tokens[:size] + [b""] * (size - len(tokens))
    types, had_scores = _resized(types, size), bool(scores.size)
    scores = _resized(scores, size) if had_scores else scores
    for number, token in change.tokens.items():
        tokens[number], types[number] = token.text.encode(), token.kind
        if had_scores:
            scores[number] = PADDING_SCORE if token.kind == UNUSED else ADDED_SCORE
    keys = {
        TOKENS_KEY: _packed_texts(TOKENS_KEY, tokens),
        TYPES_KEY: _packed_numbers(TYPES_KEY, types, INT32),
    }
    if had_scores:
        keys[SCORES_KEY] = _packed_numbers(SCORES_KEY, scores, FLOAT32)
    if change.merges:
        merges = [*_array_texts(header, MERGES_KEY), *(merge.encode() for merge in change.merges)]
        keys[MERGES_KEY] = _packed_texts(MERGES_KEY, merges)
    for kind, number in change.special.items():
        keys[SPECIAL_KEYS[kind]] = pack_value(SPECIAL_KEYS[kind], number)
    count = f"{header.text('general.architecture')}.vocab_size"
    return keys | ({count: pack_value(count, size)} if count in header.metadata else {})


def _resized(numbers: Numbers, size: int) -> Numbers:
    """Return the numbers, cut to a size or padded with zeros."""
    made = np.zeros(size, numbers.dtype)
    made[: len(numbers)] = numbers[:size]
    return made


def _array_texts(header: GgufFile, key: str) -> Iterator[bytes]:
    """Yield the texts of an array, as bytes."""
    data, position = _array_bytes(header, key)
    if not data:
        return
    kind, count = struct.unpack_from("<IQ", data, position)
    position += 12
    for _ in range(count if kind == STRING else 0):
        (length,) = struct.unpack_from("<Q", data, position)
        yield data[position + 8 : position + 8 + length]
        position += 8 + length


def _array_items(header: GgufFile, key: str, dtype: str, missing: Numbers) -> Numbers:
    """Return the numbers of an array, or `missing` if the base lacks the key."""
    data, position = _array_bytes(header, key)
    return np.frombuffer(data, dtype, offset=position + 12).copy() if data else missing


def _array_bytes(header: GgufFile, key: str) -> tuple[bytes, int]:
    """Return the bytes of a key and its value, and where the value begins; none if the base lacks it."""
    if key not in header.spans:
        return b"", 0
    start, end = header.spans[key]
    with header.path.open("rb") as file:
        file.seek(start)
        return file.read(end - start), len(pack_key(key, ARRAY))


def _packed_texts(key: str, texts: list[bytes]) -> bytes:
    """Return a key with an array of texts."""
    parts = (part for text in texts for part in (struct.pack("<Q", len(text)), text))
    return pack_key(key, ARRAY) + struct.pack("<IQ", STRING, len(texts)) + b"".join(parts)


def _packed_numbers(key: str, numbers: Numbers, kind: int) -> bytes:
    """Return a key with an array of numbers."""
    return pack_key(key, ARRAY) + struct.pack("<IQ", kind, len(numbers)) + numbers.tobytes()
